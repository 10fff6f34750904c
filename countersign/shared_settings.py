"""Settings that several processes have: where the queue is, and who we are to KeyStone."""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr

from countersign.redis_url import RedisUrl, cache_url
from countersign.settings import ProcessSettings


def _whole_address(value: str) -> str:
    # The platform's own SDK sends the client secret to the API's host when it is given a bare domain
    # (keystone-api.md 6.18): so nothing but a whole address is taken here.
    if urlsplit(value).scheme not in {"http", "https"} or not urlsplit(value).hostname:
        raise ValueError("give the whole address, with https://")
    return value.rstrip("/")


WholeAddress = Annotated[str, AfterValidator(_whole_address)]
"""An address with its scheme and host."""


class QueueSettings(ProcessSettings):
    """Where the queue and the cache beside it are, and whose environment they serve."""

    keystone_environment: str = Field(min_length=1)
    redis_url: RedisUrl
    cache_url: RedisUrl | None = None

    @property
    def cache_address(self) -> str:
        """Where the token, the budget and the sealed secrets are: by default the queue's next neighbour."""
        given = self.cache_url
        return given.get_secret_value() if given else cache_url(self.redis_url.get_secret_value())


class ClientSettings(QueueSettings):
    """Who we are to KeyStone, and where it is."""

    keystone_api_url: WholeAddress = "https://api.keystoneos.xyz"
    keystone_token_url: WholeAddress = "https://auth.keystoneos.xyz/oauth/token"  # noqa: S105 - an address.
    keystone_audience: str = "https://api.keystoneos.xyz"
    keystone_version: str | None = "0.1.0"
    client_id: str = Field(min_length=1)
    client_secret: SecretStr
