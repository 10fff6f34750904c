"""`countersign webhook …`: the receiver's place in KeyStone."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry
from rich.console import Console
from rich.table import Table

from countersign.keystone.assembly import KeystoneAccess, keystone_client
from countersign.keystone.client import KeystoneClient
from countersign.keystone.errors import KeystoneError
from countersign.keystone.webhooks import WebhookEndpoint
from countersign.log import configure_logging
from countersign.operations.registration import Registered, RegistrationRefused, register, wanted
from countersign.operations.settings import OperatorSettings
from countersign.operations.stored_secrets import TIMEOUT_SECONDS, StoredSecrets
from countersign.sealing import SealBroken, Sealer, decoded_key
from countersign.settings import SettingsInvalid
from receiver.secret_lines import parsed_secrets
from workers.budget import RedisBudgetStore
from workers.token_cache import RedisTokenCache

EXIT_FAILED = 1
EXIT_UNUSABLE = 2

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead.")]

webhook = typer.Typer(no_args_is_help=True, help="The receiver's place in KeyStone: see it, and register it.")


@webhook.command("register")
def register_command(
    url: Annotated[
        str | None, typer.Argument(help="Where KeyStone reaches the receiver: https://…/webhooks/keystone")
    ] = None,
    url_option: Annotated[str | None, typer.Option("--url", help="The same, by name.")] = None,
    endpoint: Annotated[
        str | None, typer.Option(help="Which of the receiver's endpoints this is. By default the URL tells.")
    ] = None,
    events: Annotated[
        list[str] | None, typer.Option(help="Send these events; may be repeated. [all]")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Register the receiver's URL with KeyStone.

    The secret is made here and sealed where the receivers read it, and only then given to KeyStone. Doing
    this twice changes nothing, and says so.
    """
    with _told_in_one_line():
        settings = OperatorSettings.from_environment()
        asked = wanted(url or url_option or "", endpoint, tuple(events or ("*",)), settings.keystone_api_url)
        keys = [decoded_key(key.get_secret_value()) for key in settings.seal_keys]
        stored = StoredSecrets(settings.cache_address, Sealer(keys))
        with _keystone(settings) as client:
            done = register(client, stored, asked, elsewhere=parsed_secrets(settings.webhook_secrets))
    if as_json:
        _print_json({"outcome": done.outcome, "endpoint": asked.endpoint, **_plain(done.at_keystone)})
    else:
        typer.echo(_told(done, asked.endpoint))


@webhook.command("list")
def list_command(as_json: AsJson = False) -> None:
    """Show the webhook endpoints that KeyStone has for this environment."""
    with _told_in_one_line(), _keystone(OperatorSettings.from_environment()) as client:
        endpoints = client.webhook_endpoints()
    if as_json:
        _print_json({"items": [_plain(each) for each in endpoints], "total": len(endpoints)})
        return
    table = Table("id", "URL", "events", "active", "since")
    for each in endpoints:
        since = "" if each.created_at is None else each.created_at.isoformat(timespec="seconds")
        table.add_row(
            each.id, each.url, ", ".join(each.events), "no" if each.is_active is False else "yes", since
        )
    Console().print(table if endpoints else "KeyStone has no webhook endpoint for this environment.")


@contextmanager
def _keystone(settings: OperatorSettings) -> Iterator[KeystoneClient]:
    """Connect with the fleet's own token and budget, so that a command costs no token of its own."""
    access = KeystoneAccess(
        api_url=settings.keystone_api_url,
        token_url=settings.keystone_token_url,
        audience=settings.keystone_audience,
        client_id=settings.client_id,
        client_secret=settings.client_secret.get_secret_value(),
        version=settings.keystone_version,
    )
    with (
        Redis.from_url(
            settings.cache_address,
            socket_timeout=TIMEOUT_SECONDS,
            socket_connect_timeout=TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 0),  # A person waits: who is told at once can try again.
        ) as cache,
        keystone_client(
            access,
            token_cache=RedisTokenCache(cache, access.credentials),
            budget_store=RedisBudgetStore(cache, settings.keystone_environment),
        ) as client,
    ):
        yield client


@contextmanager
def _told_in_one_line() -> Iterator[None]:
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


def _end(told: str, code: int) -> None:
    typer.echo(told, err=True)
    raise typer.Exit(code=code) from None


def _told(done: Registered, endpoint: str) -> str:
    at_keystone = done.at_keystone
    return (
        f"{done.outcome}: KeyStone sends {', '.join(at_keystone.events)} to {at_keystone.url} "
        f"(its id {at_keystone.id}, the receiver's endpoint {endpoint!r})"
    )


def _plain(endpoint: WebhookEndpoint) -> dict[str, Any]:
    return {
        "id": endpoint.id,
        "url": endpoint.url,
        "events": list(endpoint.events),
        "is_active": endpoint.is_active,
    }


def _print_json(content: dict[str, Any]) -> None:
    typer.echo(json.dumps(content))
