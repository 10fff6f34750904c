"""The settings of the worker process, and of the commands that only open the ledger."""

from datetime import timedelta
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, SecretStr

from countersign.keystone.token_check import TokenVerify
from countersign.sealing import decoded_key
from countersign.settings import KeyList, ProcessSettings
from countersign.shared_settings import ClientSettings


class MigrateSettings(ProcessSettings):
    """What `countersign migrate` needs: it changes tables, and opens nothing that is sealed in them."""

    process_name: ClassVar[str] = "migration"
    may_hold_every_secret: ClassVar[bool] = True

    database_url: SecretStr


class LedgerSettings(MigrateSettings):
    """What it takes to open the ledger: for `cases`, `events` and `ledger`."""

    process_name: ClassVar[str] = "ledger command"

    keystone_environment: str = Field(min_length=1)
    ledger_keys: KeyList = Field(min_length=1)
    lease_seconds: float = Field(default=10, ge=1)

    @property
    def lease(self) -> timedelta:
        """How long a claim on a case holds without renewal."""
        return timedelta(seconds=self.lease_seconds)

    def opened_ledger_keys(self) -> list[bytes]:
        """Return the ledger's keys, the sealing one first."""
        return [decoded_key(key.get_secret_value()) for key in self.ledger_keys]


class WorkerSettings(LedgerSettings, ClientSettings):
    """What the deciding process needs, and nothing of the receiver's or the console's."""

    process_name: ClassVar[str] = "worker"
    may_hold_every_secret: ClassVar[bool] = False

    token_verify: TokenVerify = TokenVerify.WARN
    egress_address: str | None = None
    policy_file: Path | None = None

    rate_share: float = Field(default=0.8, gt=0, le=1)
    sweep_seconds: float = Field(default=1, gt=0)
    search_seconds: float = Field(default=60, gt=0)
    suspect_after_seconds: float = Field(default=60, gt=0)
    journal_left_seconds: float = Field(default=5, gt=0)
    not_ready_minutes: float = Field(default=10, ge=0)
    review_margin_minutes: float = Field(default=5, ge=0)
    look_again_minutes: float = Field(default=15, gt=0)
    shutdown_seconds: float = Field(default=20, gt=0)
    handler_memory_mb: int = Field(default=512, ge=64)
    metrics_host: str = "127.0.0.1"
    metrics_port: int | None = Field(default=None, ge=1, le=65535)
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
