"""The receiver's settings: webhook secrets or the key that opens them, Redis, bounds. No other secret."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from countersign.settings import KeyList, SecretList
from countersign.shared_settings import QueueSettings
from receiver.secret_lines import parsed_secrets

Port = Annotated[int, Field(ge=0, le=65535)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(gt=0)]


class ReceiverSettings(QueueSettings):
    """What `docs/configuration.md` describes for the receiver."""

    process_name: ClassVar[str] = "receiver"

    webhook_secrets: SecretList = Field(default=[])
    webhook_secrets_file: Path | None = None
    seal_keys: KeyList = Field(default=[])

    host: str = "127.0.0.1"
    port: Port = 8080
    metrics_host: str = "127.0.0.1"
    metrics_port: Port | None = None
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    max_body_bytes: Count = 65536
    max_header_bytes: Count = 16384
    max_concurrent_requests: Count = 1000
    max_connections: Count = 2000
    request_timeout_seconds: Seconds = 10
    queue_timeout_seconds: Seconds = 2
    shutdown_timeout_seconds: Count = 20
    stale_after_seconds: Seconds = 3600
    ready_journal_age_seconds: Seconds | None = None

    @field_validator("webhook_secrets")
    @classmethod
    def _entries_can_be_read(cls, entries: list[SecretStr]) -> list[SecretStr]:
        parsed_secrets(entries)
        return entries

    @model_validator(mode="after")
    def _there_are_secrets(self) -> Self:
        if not self.webhook_secrets and not self.seal_keys:
            raise ValueError(
                "no webhook secret is configured, so every delivery would be refused: set "
                "COUNTERSIGN_WEBHOOK_SECRETS (or COUNTERSIGN_WEBHOOK_SECRETS_FILE), or COUNTERSIGN_SEAL_KEYS "
                "for secrets that `countersign webhook register` stores"
            )
        return self

    @property
    def stale_after(self) -> timedelta:
        """From what age on an event is marked stale when it comes."""
        return timedelta(seconds=self.stale_after_seconds)
