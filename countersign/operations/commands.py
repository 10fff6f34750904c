"""`countersign webhook …`: the receiver's place in KeyStone."""

import json
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from countersign.keystone.webhooks import WebhookEndpoint
from countersign.operations.connection import connected, told_in_one_line
from countersign.operations.registration import Registered, register, wanted
from countersign.operations.settings import OperatorSettings
from countersign.operations.stored_secrets import StoredSecrets
from countersign.sealing import Sealer, decoded_key
from receiver.secret_lines import parsed_secrets

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
    with told_in_one_line():
        settings = OperatorSettings.from_environment()
        asked = wanted(url or url_option or "", endpoint, tuple(events or ("*",)), settings.keystone_api_url)
        keys = [decoded_key(key.get_secret_value()) for key in settings.seal_keys]
        stored = StoredSecrets(settings.cache_address, Sealer(keys))
        with connected(settings) as client:
            done = register(client, stored, asked, elsewhere=parsed_secrets(settings.webhook_secrets))
    if as_json:
        _print_json({"outcome": done.outcome, "endpoint": asked.endpoint, **_plain(done.at_keystone)})
    else:
        typer.echo(_told(done, asked.endpoint))


@webhook.command("list")
def list_command(as_json: AsJson = False) -> None:
    """Show the webhook endpoints that KeyStone has for this environment."""
    with told_in_one_line(), connected(OperatorSettings.from_environment()) as client:
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
