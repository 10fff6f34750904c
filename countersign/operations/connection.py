"""How a command reaches KeyStone, and how what goes wrong is told: in one line, with an exit code."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import typer
from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

from countersign.keystone.assembly import KeystoneAccess, keystone_client
from countersign.keystone.client import KeystoneClient
from countersign.keystone.errors import KeystoneError
from countersign.log import configure_logging
from countersign.operations.registration import RegistrationRefused
from countersign.operations.settings import PersonSettings
from countersign.operations.stored_secrets import TIMEOUT_SECONDS
from countersign.sealing import SealBroken
from countersign.settings import SettingsInvalid
from workers.budget import RedisBudgetStore
from workers.token_cache import RedisTokenCache

EXIT_FAILED = 1
EXIT_UNUSABLE = 2


@contextmanager
def opened_cache(settings: PersonSettings) -> Iterator[tuple[Redis, RedisTokenCache]]:
    """Open the cache's database, and in it the fleet's token."""
    with Redis.from_url(
        settings.cache_address,
        socket_timeout=TIMEOUT_SECONDS,
        socket_connect_timeout=TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 0),  # A person waits: who is told at once can try again.
    ) as redis:
        yield redis, RedisTokenCache(redis, access_of(settings).credentials)


@contextmanager
def connected(settings: PersonSettings) -> Iterator[KeystoneClient]:
    """Connect with the fleet's own token and budget, so that a command costs no token of its own."""
    with opened_cache(settings) as (redis, token_cache):
        budget = RedisBudgetStore(redis, settings.keystone_environment, share=settings.rate_share)
        with keystone_client(access_of(settings), token_cache=token_cache, budget_store=budget) as client:
            yield client


def access_of(settings: PersonSettings) -> KeystoneAccess:
    """Say where KeyStone is and who we are."""
    return KeystoneAccess(
        api_url=settings.keystone_api_url,
        token_url=settings.keystone_token_url,
        audience=settings.keystone_audience,
        client_id=settings.client_id,
        client_secret=settings.client_secret.get_secret_value(),
        version=settings.keystone_version,
        verify=settings.token_verify,
        egress_address=settings.egress_address,
    )


@contextmanager
def told_in_one_line() -> Iterator[None]:
    """Turn what can go wrong into one line on stderr and an exit code."""
    configure_logging("command line", level="CRITICAL")  # What goes wrong is told below, once.
    try:
        yield
    except SettingsInvalid as problems:
        _end(str(problems), EXIT_UNUSABLE)
    except RegistrationRefused as refused:
        _end(str(refused), EXIT_FAILED)
    except KeystoneError as error:
        _end(str(error), EXIT_FAILED)
    except RedisError as error:
        _end(f"Redis can't be used ({type(error).__name__}): see COUNTERSIGN_CACHE_URL", EXIT_FAILED)
    except SealBroken:
        _end(
            "the stored secret does not open with COUNTERSIGN_SEAL_KEYS: add the key that sealed it",
            EXIT_FAILED,
        )
    except ValueError as error:
        _end(str(error), EXIT_UNUSABLE)


def _end(told: str, code: int) -> NoReturn:
    typer.echo(told, err=True)
    raise typer.Exit(code=code) from None
