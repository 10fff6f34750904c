"""The worker's composition root: `dramatiq workers.broker:set_up` reads the settings and builds everything.

Every knob of Dramatiq on Redis is set here on purpose (why: queue-failure-modes.md, by its numbers).
"""

import os

import dramatiq

from countersign.log import configure_logging
from workers.actors import declare_actors
from workers.doorbell import BLOCK_SECONDS, DoorbellBroker
from workers.inbox.names import NAMESPACE
from workers.middleware import Lifecycle
from workers.settings import WorkerSettings

FLEET_PID = "COUNTERSIGN_FLEET_PID"
"""Where the `countersign worker` process tells its children who it is, so that none outlives it."""

HEARTBEAT_TIMEOUT_MS = 120_000  # F8, F9: longer than any step, and than a clock that is a minute off.
MAINTENANCE_CHANCE = 50_000  # F10: of a million; the default finds a dead worker's messages after hours.
DEAD_MESSAGE_TTL_MS = 90 * 24 * 3600 * 1000  # F13: dead letters stay long enough for somebody to look.
SOCKET_TIMEOUT_SECONDS = 5.0
RETRIES = 10


def set_up() -> None:
    """Build this worker process. Dramatiq calls it in each child, before its threads start."""
    configure_logging("worker", level=os.environ.get("COUNTERSIGN_LOG_LEVEL", "INFO"))
    settings = WorkerSettings.from_environment()
    queue = _redis(settings.redis_url)
    bell = _redis(settings.redis_url, socket_timeout=SOCKET_TIMEOUT_SECONDS + BLOCK_SECONDS)
    broker = DoorbellBroker(
        client=queue,
        bell_client=bell,
        namespace=NAMESPACE,
        middleware=[],
        heartbeat_timeout=HEARTBEAT_TIMEOUT_MS,
        maintenance_chance=MAINTENANCE_CHANCE,
        dead_message_ttl=DEAD_MESSAGE_TTL_MS,
    )
    parts = build_parts(settings, broker, queue, (bell,))
    broker.add_middleware(Lifecycle(parts))
    declare_actors(broker, parts)
    dramatiq.set_broker(broker)
