"""`countersign token`: the fleet's machine token, and never its value."""

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from countersign.keystone.calls import WORKER_CALLS
from countersign.keystone.grants import missing_scopes
from countersign.operations.connection import connected, opened_cache, told_in_one_line
from countersign.operations.settings import PersonSettings
from countersign.operations.token import ScopeSheet, TokenSheet, token_sheet

app = typer.Typer(add_completion=False)

EXIT_SCOPE_MISSING = 1
RED = "red"

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead.")]


@app.command()
def token(as_json: AsJson = False) -> None:
    """Show the fleet's machine token, never its value: what it grants, its expiry, who renews it when.

    If there is none, this fetches one for the fleet. It ends with 1 if none can be had, or if the token lacks
    a scope that a worker needs.
    """
    with told_in_one_line():
        settings = PersonSettings.from_environment()
        with connected(settings) as client, opened_cache(settings) as (redis, cache):
            fetched = client.tokens.token()
            sheet = token_sheet(fetched, cache.keeping(), redis.connection_pool.connection_kwargs)
    if as_json:
        typer.echo(json.dumps(sheet.to_plain()))
    else:
        _print(sheet)
    raise typer.Exit(code=EXIT_SCOPE_MISSING if missing_scopes(fetched, WORKER_CALLS) else 0)


def _print(sheet: TokenSheet) -> None:
    # `Text` throughout: what an issuer wrote into its token must not be taken for markup.
    console = Console()
    facts = Table.grid(padding=(0, 2))
    for name, value in _facts(sheet):
        facts.add_row(name, value)
    console.print(facts)
    scopes = Table(Column("scope", no_wrap=True), "granted", "for", Column("needed by", overflow="fold"))
    for scope in sheet.scopes:
        needed_by = ", ".join(scope.needed_by) or "nothing here"
        scopes.add_row(Text(scope.name), _granted(scope), scope.purpose, needed_by)
    console.print(scopes)
    for missing in sheet.missing:
        console.print(Text(str(missing), RED))


def _facts(sheet: TokenSheet) -> list[tuple[str, Text]]:
    verified = Text("yes") if sheet.problem is None else Text(f"no: {sheet.problem}", RED)
    moments = f"{sheet.renewed_from:%Y-%m-%d %H:%M:%S} and {sheet.renewed_until:%H:%M:%S}"
    now = f" {sheet.fetching_by} is fetching one now." if sheet.fetching_by else ""
    return [
        ("issuer", Text(sheet.issuer or "not told")),
        ("audience", Text(", ".join(sheet.audience) or "not told")),
        ("verified", verified),
        ("expires", Text(f"{sheet.expires_at:%Y-%m-%d %H:%M:%S} UTC, by the issuer's clock")),
        ("kept in", Text(sheet.kept_in)),
        ("fetched by", Text(sheet.fetched_by or "not told")),
        ("renewed", Text(f"by the first worker whose moment comes, between {moments} UTC.{now}")),
    ]


def _granted(scope: ScopeSheet) -> Text:
    if scope.granted is None:
        return Text("not told")
    return Text("yes") if scope.granted else Text("no", RED if scope.needed_by else "")
