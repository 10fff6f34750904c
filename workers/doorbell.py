"""The doorbell: an idle consumer blocks on a list beside its queue, so that a message starts at once.

Dramatiq's own consumer polls and sleeps up to a second in between. This subclasses a private class of
Dramatiq's, which is why its version is pinned and `tests/workers/test_doorbell.py` tests the contract.
"""

from typing import Any

import redis
from dramatiq.broker import MessageProxy
from dramatiq.brokers.redis import RedisBroker, _RedisConsumer
from dramatiq.errors import ConnectionClosed

from workers.inbox.names import bell

BLOCK_SECONDS = 1.0
"""How long a consumer blocks at most: it must still notice a shutdown, and stay below the socket timeout."""

BUSY_POLL_MILLISECONDS = 20
"""How long Dramatiq's own consumer may sleep while messages are in hand and the bell would mislead."""


class DoorbellConsumer(_RedisConsumer):
    """Waits for a ring where the stock consumer would sleep."""

    def __next__(self) -> MessageProxy | None:
        """Return the next message, or None after a while without one."""
        message: MessageProxy | None = super().__next__()  # type: ignore[no-untyped-call] # Dramatiq's.
        if message is None and self.outstanding_message_count == 0:
            self._wait_for_a_ring()
        return message

    def _wait_for_a_ring(self) -> None:
        try:
            self.broker.bell_client.blpop([bell(self.queue_name)], timeout=BLOCK_SECONDS)
        except redis.ConnectionError as error:
            raise ConnectionClosed(error) from None  # type: ignore[no-untyped-call] # Dramatiq's.


class DoorbellBroker(RedisBroker):
    """Dramatiq's Redis broker with a doorbell. `bell_client` needs a socket timeout above `BLOCK_SECONDS`."""

    def __init__(self, *, bell_client: redis.Redis, **parameters: Any) -> None:  # noqa: ANN401 - RedisBroker's.
        super().__init__(**parameters)  # type: ignore[no-untyped-call] # Dramatiq's.
        self.bell_client = bell_client

    @property
    def consumer_class(self) -> type[DoorbellConsumer]:
        """Name the consumer that Dramatiq makes for each queue."""
        return DoorbellConsumer

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 5000) -> DoorbellConsumer:  # noqa: ARG002 - the signature is Dramatiq's.
        """Make a consumer. Dramatiq's idle timeout is replaced: the bell does the waiting."""
        return self.consumer_class(self, queue_name, prefetch, BUSY_POLL_MILLISECONDS)
