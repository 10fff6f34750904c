"""The worker's composition root: `dramatiq workers.composition:set_up` reads the settings, builds everything.

Dramatiq calls it in each of its child processes, before the threads start. Nothing else in this room reads
settings or makes a client.
"""

import os
from datetime import timedelta

import dramatiq
from prometheus_client import CollectorRegistry
from redis import Redis

from countersign.keystone.assembly import KeystoneAccess, keystone_client
from countersign.keystone.calls import WORKER_CALLS
from countersign.keystone.client import KeystoneClient
from countersign.keystone.grants import report_grants_aside
from countersign.log import configure_logging
from workers.actors import declare_actors
from workers.broker import bell_client, queue_broker, redis_client
from workers.budget import RedisBudgetStore
from workers.intake import Intake
from workers.journal import Journal
from workers.judging import Judging, open_judging
from workers.leases import LeaseKeeper
from workers.ledger import claims
from workers.ledger.columns import new_id
from workers.ledger.opening import open_books
from workers.metrics import ClientMetrics, WorkerMetrics
from workers.middleware import Lifecycle
from workers.missed_flags import MissedFlags
from workers.parent_watch import ParentWatch, still_child_of, still_runs
from workers.parts import WorkerParts
from workers.periodic import Periodic
from workers.settings import WorkerSettings
from workers.steps.desk import Desk, Timings
from workers.sweep import Sweep, Wake
from workers.token_cache import RedisTokenCache
from workers.wake import CaseWaker

FLEET_PID = "COUNTERSIGN_FLEET_PID"
"""Where the `countersign worker` process tells its children who it is, so that none outlives it."""


def set_up() -> None:
    """Build this worker process."""
    settings = WorkerSettings.from_environment()
    configure_logging("worker", level=settings.log_level)
    queue, bell, cache = (
        redis_client(settings.redis_url.get_secret_value()),
        bell_client(settings.redis_url.get_secret_value()),
        redis_client(settings.cache_address),
    )
    broker = queue_broker(queue, bell)
    parts = _parts(settings, CaseWaker(broker, queue), queue, cache, (queue, bell, cache))
    broker.add_middleware(Lifecycle(parts))
    declare_actors(broker, parts)
    report_grants_aside(parts.desk.keystone.tokens, WORKER_CALLS)
    dramatiq.set_broker(broker)


def _parts(
    settings: WorkerSettings, wake: Wake, queue: Redis, cache: Redis, clients: tuple[Redis, ...]
) -> WorkerParts:
    registry = CollectorRegistry()
    metrics = WorkerMetrics(registry)
    books = open_books(settings)
    keeper = LeaseKeeper(lambda fences: claims.renew(books, fences), settings.lease)
    journal = Journal(queue)
    intake = Intake(journal, books, metrics)
    desk = Desk(
        books=books,
        keystone=_keystone(settings, cache, registry),
        judging=_judging(settings, registry),
        keeper=keeper,
        metrics=metrics,
        client_id=settings.client_id,
        timings=_timings(settings),
    )
    return WorkerParts(
        desk=desk,
        journal=journal,
        intake=intake,
        keeper=keeper,
        sweeping=_sweeping(settings, intake, desk, wake),
        searching=_searching(settings, desk),
        watch=_watch(),
        redis_clients=clients,
    )


def _keystone(settings: WorkerSettings, cache: Redis, registry: CollectorRegistry) -> KeystoneClient:
    access = KeystoneAccess(
        api_url=settings.keystone_api_url,
        token_url=settings.keystone_token_url,
        audience=settings.keystone_audience,
        client_id=settings.client_id,
        client_secret=settings.client_secret.get_secret_value(),
        version=settings.keystone_version,
        verify=settings.token_verify,
        egress_address=settings.egress_address,
    )
    return keystone_client(
        access,
        token_cache=RedisTokenCache(cache, access.credentials),
        budget_store=RedisBudgetStore(cache, settings.keystone_environment, share=settings.rate_share),
        hooks=ClientMetrics(registry).hooks(),
    )


def _judging(settings: WorkerSettings, registry: CollectorRegistry) -> Judging:
    return open_judging(
        settings.policy_file,
        environ=os.environ,
        registry=registry,
        memory_bytes=settings.handler_memory_mb * 1024 * 1024,
    )


def _timings(settings: WorkerSettings) -> Timings:
    return Timings(
        not_ready_limit=timedelta(minutes=settings.not_ready_minutes),
        review_margin=timedelta(minutes=settings.review_margin_minutes),
        look_again=timedelta(minutes=settings.look_again_minutes),
    )


def _sweeping(settings: WorkerSettings, intake: Intake, desk: Desk, wake: Wake) -> Periodic:
    interval = timedelta(seconds=settings.sweep_seconds)
    sweep = Sweep(
        intake=intake,
        books=desk.books,
        wake=wake,
        metrics=desk.metrics,
        holder=new_id("sweeper"),
        interval=interval,
        left_after=timedelta(seconds=settings.journal_left_seconds),
    )
    return Periodic("sweep", interval, sweep.sweep)


def _searching(settings: WorkerSettings, desk: Desk) -> Periodic:
    every = timedelta(seconds=settings.search_seconds)
    missed = MissedFlags(
        desk.keystone,
        desk.books,
        desk.metrics,
        holder=new_id("searcher"),
        every=every,
        suspect_after=timedelta(seconds=settings.suspect_after_seconds),
    )
    return Periodic("search", every, missed.search)


def _watch() -> ParentWatch:
    alive = [still_child_of(os.getppid())]
    fleet = os.environ.get(FLEET_PID)
    if fleet is not None:
        alive.append(still_runs(int(fleet)))
    return ParentWatch(alive)
