"""Waking: tells the workers that a case is due, through Dramatiq's queue and the bell beside it."""

from dramatiq import Message
from dramatiq.brokers.redis import RedisBroker
from redis import Redis

from workers.inbox.names import ADVANCE_CASE, CASES_QUEUE, bell

RINGS_KEPT = 64


class CaseWaker:
    """Enqueues `advance_case`. The sweep repeats a wake-up that gets lost; one too many does nothing."""

    def __init__(self, broker: RedisBroker, redis: Redis) -> None:
        self._broker = broker
        self._redis = redis

    def __call__(self, case_id: str) -> None:
        """Wake one worker for one case."""
        self._broker.enqueue(
            Message(queue_name=CASES_QUEUE, actor_name=ADVANCE_CASE, args=(case_id,), kwargs={}, options={})
        )
        with self._redis.pipeline(transaction=False) as pipeline:
            pipeline.lpush(bell(CASES_QUEUE), "1")
            pipeline.ltrim(bell(CASES_QUEUE), 0, RINGS_KEPT - 1)
            pipeline.execute()
