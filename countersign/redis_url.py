"""Addresses of Redis databases. The cache has one of its own, by default the queue's next neighbour.

Dramatiq's maintenance runs `KEYS` over the whole database of the queue, so nothing else should live there.
"""

from typing import Annotated
from urllib.parse import parse_qsl, urlencode, urlsplit

from pydantic import AfterValidator, SecretStr

_SCHEMES = frozenset({"redis", "rediss", "unix"})


def cache_url(redis_url: str) -> str:
    """Return the address of the next database on the same server: where the cache is, if nothing else is set.

    The number stands in the path (`redis://host/0`) or in the query (`?db=0`, which is stronger, and all that
    `unix://` has).
    """
    parts = urlsplit(redis_url)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    address = redis_url.partition("?")[0]
    if "db" in query or parts.scheme == "unix":
        query["db"] = str(int(query.get("db") or 0) + 1)
    else:
        address = f"{address.removesuffix(parts.path)}/{int(parts.path.strip('/') or 0) + 1}"
    return f"{address}?{urlencode(query)}" if query else address


def _checked(url: SecretStr) -> SecretStr:
    try:
        parts = urlsplit(url.get_secret_value())
        cache_url(url.get_secret_value())
    except ValueError:
        raise ValueError("it must end in a database number, as in redis://host:6379/0") from None
    if parts.scheme not in _SCHEMES:
        raise ValueError("it must begin with redis://, rediss:// (TLS) or unix://")
    return url


RedisUrl = Annotated[SecretStr, AfterValidator(_checked)]
"""The address of a Redis or Valkey database as a setting. It may hold a password, so it is hidden."""
