"""Connecting to Redis: short and bounded, because a caller waits for the answer."""

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ReadOnlyError
from redis.maint_notifications import MaintNotificationsConfig


def connect(url: str, timeout_seconds: float) -> Redis:
    """Make a client for `url`. It connects when it is first used, and again whenever it must.

    One more try follows a lost connection, since a restarted server closed the one that we held; and a server
    that has become a replica, since its name may lead to the new primary. More tries would only wait.
    """
    return Redis.from_url(
        url,
        protocol=2,  # One round trip less to connect, and any server speaks it.
        socket_timeout=timeout_seconds,
        socket_connect_timeout=timeout_seconds,
        retry=Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError, ReadOnlyError)),
        # While these are on, redis-py does not look whether the server has closed a connection.
        maint_notifications_config=MaintNotificationsConfig(enabled=False),
    )
