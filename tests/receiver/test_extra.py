"""The `[receiver]` extra is enough: what belongs to the workers is neither installed nor imported here."""

import subprocess
import sys

NOT_OURS = ("alembic", "dramatiq", "httpx", "jwt", "psycopg", "rfc8785", "sqlalchemy", "sqlmodel")

CODE = f"""
import sys
from importlib.abc import MetaPathFinder

class Refuses(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {NOT_OURS!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Refuses())
import countersign.keystone.events, countersign.keystone.signature, workers.inbox
import receiver.commands, receiver.app
from receiver.settings import ReceiverSettings
receiver.app.create_app(ReceiverSettings.from_environment({{
    "COUNTERSIGN_KEYSTONE_ENVIRONMENT": "development",
    "COUNTERSIGN_REDIS_URL": "redis://127.0.0.1:1/0",
    "COUNTERSIGN_WEBHOOK_SECRETS": "secret",
}}))
"""


def test_the_receiver_is_built_without_what_the_workers_need() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
