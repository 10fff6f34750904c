"""The receiver's settings: webhook secrets or the key that opens them, Redis, bounds. No other secret."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from countersign.redis_url import RedisUrl, cache_url
from countersign.settings import KeyList, ProcessSettings, SecretList
from receiver.secret_lines import parsed_secrets

Port = Annotated[int, Field(ge=0, le=65535)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(gt=0)]


class ReceiverSettings(ProcessSettings):
    """What `docs/configuration.md` describes for the receiver."""

    process_name: ClassVar[str] = "receiver"

    keystone_environment: Annotated[str, Field(min_length=1)]
    redis_url: RedisUrl
    cache_url: RedisUrl | None = None
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
    def cache_address(self) -> str:
        """Where the sealed secrets are: `CACHE_URL`, or the queue's next neighbour."""
        given = self.cache_url
        return given.get_secret_value() if given else cache_url(self.redis_url.get_secret_value())

    @property
    def stale_after(self) -> timedelta:
        """From what age on an event is marked stale when it comes."""
        return timedelta(seconds=self.stale_after_seconds)
