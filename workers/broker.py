"""The queue as a worker uses it: every knob of Dramatiq on Redis is set here, on purpose.

The reasons are named by their numbers in queue-failure-modes.md.
"""

from redis import ConnectionError as RedisConnectionError
from redis import ReadOnlyError, Redis
from redis import TimeoutError as RedisTimeoutError
from redis.backoff import ExponentialWithJitterBackoff
from redis.retry import Retry

from workers.doorbell import BLOCK_SECONDS, DoorbellBroker
from workers.inbox.names import NAMESPACE

HEARTBEAT_TIMEOUT_MILLISECONDS = 120_000
"""F8, F9: longer than any step takes, and than a clock that is a minute off. Ours is the sweep, not this."""

MAINTENANCE_CHANCE = 50_000
"""F10: of a million commands. With Dramatiq's own default a dead worker's messages come back after hours."""

DEAD_MESSAGE_TTL_MILLISECONDS = 90 * 24 * 3600 * 1000
"""F13: a dead letter stays long enough for somebody to look at it."""

SOCKET_TIMEOUT_SECONDS = 5.0
RETRIES = 10
"""F4: a timeout or a failover in the middle of a command is tried again, for about twenty seconds."""


def redis_client(url: str, *, may_block_seconds: float = 0.0) -> Redis:
    """Connect to Redis as everything in the worker does. Responses stay bytes."""
    return Redis.from_url(
        url,
        socket_timeout=SOCKET_TIMEOUT_SECONDS + may_block_seconds,
        socket_connect_timeout=SOCKET_TIMEOUT_SECONDS,
        health_check_interval=30,
        retry=Retry(ExponentialWithJitterBackoff(base=0.05, cap=3.0), RETRIES),
        retry_on_error=[RedisConnectionError, RedisTimeoutError, ReadOnlyError],
    )


def queue_broker(queue: Redis, bell: Redis) -> DoorbellBroker:
    """Make the broker. Dramatiq's default middleware is left out: `workers/middleware.py` says why."""
    return DoorbellBroker(
        client=queue,
        bell_client=bell,
        namespace=NAMESPACE,
        middleware=[],
        heartbeat_timeout=HEARTBEAT_TIMEOUT_MILLISECONDS,
        maintenance_chance=MAINTENANCE_CHANCE,
        dead_message_ttl=DEAD_MESSAGE_TTL_MILLISECONDS,
    )


def bell_client(url: str) -> Redis:
    """Connect for the doorbell, whose reads block."""
    return redis_client(url, may_block_seconds=BLOCK_SECONDS)
