"""The settings of the command line. A person runs it, so it may hold every secret that there is."""

from typing import ClassVar

from pydantic import Field, SecretStr

from countersign.redis_url import RedisUrl, cache_url
from countersign.settings import KeyList, ProcessSettings, SecretList


class ClientSettings(ProcessSettings):
    """What a command needs to reach KeyStone as the workers do: with the fleet's token and budget."""

    process_name: ClassVar[str] = "command line"
    may_hold_every_secret: ClassVar[bool] = True

    keystone_api_url: str = "https://api.keystoneos.xyz"
    keystone_token_url: str = "https://auth.keystoneos.xyz/oauth/token"  # noqa: S105 - an address.
    keystone_audience: str = "https://api.keystoneos.xyz"
    keystone_version: str | None = "0.1.0"
    keystone_environment: str = Field(min_length=1)
    client_id: str = Field(min_length=1)
    client_secret: SecretStr
    redis_url: RedisUrl
    cache_url: RedisUrl | None = None

    @property
    def cache_address(self) -> str:
        """Where the sealed secrets, the token and the budget are."""
        given = self.cache_url
        return given.get_secret_value() if given else cache_url(self.redis_url.get_secret_value())


class OperatorSettings(ClientSettings):
    """What the commands of `countersign webhook` need besides: the store that the receivers read."""

    seal_keys: KeyList = Field(min_length=1)
    webhook_secrets: SecretList = Field(default=[])
