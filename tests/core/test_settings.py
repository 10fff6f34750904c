"""A process reads its settings once, names every problem at once, and holds no secret that isn't its own."""

from pathlib import Path

import pytest

from countersign.sealing import new_key
from countersign.settings import SettingsInvalid
from receiver.settings import ReceiverSettings
from workers.settings import LedgerSettings, WorkerSettings

P = "COUNTERSIGN_"
WORKER = {
    f"{P}KEYSTONE_ENVIRONMENT": "live",
    f"{P}CLIENT_ID": "client",
    f"{P}CLIENT_SECRET": "the-client-secret",
    f"{P}LEDGER_KEYS": new_key(),
    f"{P}DATABASE_URL": "postgresql://countersign:the-password@db/countersign",
    f"{P}REDIS_URL": "redis://queue:6379/0",
}


def without(*names: str) -> dict[str, str]:
    return {name: value for name, value in WORKER.items() if name.removeprefix(P) not in names}


def test_what_is_given_is_read() -> None:
    settings = WorkerSettings.from_environment(WORKER)

    assert settings.client_secret.get_secret_value() == "the-client-secret"
    assert settings.cache_address == "redis://queue:6379/1"
    assert len(settings.opened_ledger_keys()) == 1


def test_every_problem_is_told_at_once_and_no_value_is_shown() -> None:
    given = {
        **without("CLIENT_ID", "REDIS_URL"),
        f"{P}LEDGER_KEYS": "not-a-key-at-all",
        f"{P}RATE_SHARE": "2.5",
        f"{P}KEYSTONE_API_URL": "api.keystoneos.xyz",
        f"{P}SEAL_KEYS": new_key(),
    }

    with pytest.raises(SettingsInvalid) as refused:
        WorkerSettings.from_environment(given)

    told = str(refused.value)
    for name in ("CLIENT_ID", "REDIS_URL", "LEDGER_KEYS", "RATE_SHARE", "KEYSTONE_API_URL", "SEAL_KEYS"):
        assert P + name in told
    for value in ("not-a-key-at-all", "the-client-secret", "the-password", given[f"{P}SEAL_KEYS"]):
        assert value not in told


@pytest.mark.parametrize("form", ["SEAL_KEYS", "SEAL_KEYS_FILE", "WEBHOOK_SECRETS"])
def test_a_worker_refuses_a_receivers_secret(form: str) -> None:
    with pytest.raises(SettingsInvalid, match="the worker must not hold it"):
        WorkerSettings.from_environment({**WORKER, P + form: "anything"})


@pytest.mark.parametrize("name", ["CLIENT_SECRET", "LEDGER_KEYS", "DATABASE_URL"])
def test_a_receiver_refuses_a_workers_secret(name: str) -> None:
    given = {
        f"{P}KEYSTONE_ENVIRONMENT": "live",
        f"{P}REDIS_URL": "redis://queue:6379/0",
        f"{P}WEBHOOK_SECRETS": "whsec_x",
    }
    assert ReceiverSettings.from_environment(given)

    with pytest.raises(SettingsInvalid, match="the receiver must not hold it"):
        ReceiverSettings.from_environment({**given, P + name: WORKER[P + name]})


def test_a_person_at_the_command_line_may_hold_them_all() -> None:
    assert LedgerSettings.from_environment({**WORKER, f"{P}SEAL_KEYS": new_key()})


def test_a_secret_may_come_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "client_secret"
    path.write_text("from-a-file\n")

    settings = WorkerSettings.from_environment(
        {**without("CLIENT_SECRET"), f"{P}CLIENT_SECRET_FILE": str(path)}
    )

    assert settings.client_secret.get_secret_value() == "from-a-file"


def test_a_file_that_cannot_be_read_and_a_value_given_twice_are_told(tmp_path: Path) -> None:
    given = {
        **without("LEDGER_KEYS"),
        f"{P}LEDGER_KEYS_FILE": str(tmp_path / "missing"),
        f"{P}CLIENT_SECRET_FILE": "x",
    }

    with pytest.raises(SettingsInvalid) as refused:
        WorkerSettings.from_environment(given)

    assert "LEDGER_KEYS_FILE can't be read" in str(refused.value)
    assert "CLIENT_SECRET and COUNTERSIGN_CLIENT_SECRET_FILE are both set" in str(refused.value)


def test_no_secret_shows_in_a_repr() -> None:
    shown = repr(WorkerSettings.from_environment(WORKER))

    assert "the-client-secret" not in shown
    assert "the-password" not in shown
    assert WORKER[f"{P}LEDGER_KEYS"] not in shown
