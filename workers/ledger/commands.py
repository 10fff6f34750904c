"""The ledger's commands: `countersign migrate`, `cases`, `events` and `ledger`."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from countersign.settings import SettingsInvalid
from workers.ledger import listing
from workers.ledger import migrate as migrations
from workers.ledger.books import Books
from workers.ledger.chain import broken_links, chain_lengths
from workers.ledger.engine import ledger_engine
from workers.ledger.opening import LedgerUnusable, open_books, troubles_named
from workers.settings import LedgerSettings, MigrateSettings

EXIT_BROKEN, EXIT_UNUSABLE = 1, 2

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")]
Limit = Annotated[int, typer.Option(min=0, help="How many to show, newest first; 0 shows all.")]
OfSettlement = Annotated[str | None, typer.Option("--settlement", help="Only those of this settlement.")]

migrate = typer.Typer()
cases = typer.Typer(no_args_is_help=True)
events = typer.Typer(no_args_is_help=True)
ledger = typer.Typer(no_args_is_help=True)


@migrate.command()
def bring_up_to_date() -> None:
    """Bring the ledger's tables to this version's revision. Run it once, before the processes start."""
    with _troubles_told():
        settings = MigrateSettings.from_environment()
        engine = ledger_engine(settings.database_url.get_secret_value())
        try:
            before = migrations.current(engine)
            migrations.upgrade(engine)
            typer.echo(f"ledger: {before or 'no tables'} -> {migrations.current(engine)}")
        finally:
            engine.dispose()


@cases.callback()
def _cases() -> None:
    """Show the cases and what became of them."""


@cases.command("list")
def list_cases(
    as_json: AsJson = False,
    limit: Limit = 50,
    settlement: OfSettlement = None,
    state: Annotated[str | None, typer.Option(help="Only those in this state, such as held.")] = None,
) -> None:
    """List cases, newest first."""
    with _open() as books:
        items, total = listing.list_cases(books, limit=limit, settlement_id=settlement, state=state)
    if as_json:
        typer.echo(json.dumps({"items": items, "total": total}))
        return
    columns = ("case_id", "settlement_id", "state", "verdict", "decision", "why", "opened_at")
    _print_table(f"{len(items)} of {total} cases", columns, items)


@cases.command("show")
def show_case(case_id: str, as_json: AsJson = False) -> None:
    """Show one case's life, as the chain tells it."""
    with _open() as books:
        entries = listing.timeline(books, case_id)
    if not entries:
        typer.echo(f"there is no case {case_id} in this environment: `countersign cases list`", err=True)
        raise typer.Exit(EXIT_UNUSABLE)
    if as_json:
        typer.echo(json.dumps({"items": entries, "total": len(entries)}))
        return
    _print_table(case_id, ("position", "at", "kind", "body"), entries)


@events.callback()
def _events() -> None:
    """Show the events that KeyStone sent."""


@events.command("list")
def list_events(as_json: AsJson = False, limit: Limit = 50, settlement: OfSettlement = None) -> None:
    """List events, newest first."""
    with _open() as books:
        items, total = listing.list_events(books, limit=limit, settlement_id=settlement)
    if as_json:
        typer.echo(json.dumps({"items": items, "total": total}))
        return
    columns = ("event_id", "name", "settlement_id", "state", "received_at", "case_id")
    _print_table(f"{len(items)} of {total} events", columns, items)


@ledger.callback()
def _ledger() -> None:
    """Verify the hash-chained record."""


@ledger.command("verify")
def verify(as_json: AsJson = False) -> None:
    """Walk the hash chain from its start, and name the first broken link."""
    with _open() as books, books.reading() as connection:
        broken = broken_links(connection)
        lengths = chain_lengths(connection)
    if as_json:
        told = [{"environment": b.environment, "position": b.position, "problem": b.problem} for b in broken]
        typer.echo(json.dumps({"entries": sum(lengths.values()), "broken": told}))
    else:
        for link in broken:
            typer.echo(f"{link.environment}: broken at entry {link.position}: {link.problem}", err=True)
        if not broken:
            typer.echo(f"{sum(lengths.values())} entries, every link holds")
    if broken:
        raise typer.Exit(EXIT_BROKEN)


@contextmanager
def _open() -> Iterator[Books]:
    with _troubles_told():
        books = open_books(LedgerSettings.from_environment())
        try:
            yield books
        finally:
            books.engine.dispose()


@contextmanager
def _troubles_told() -> Iterator[None]:
    try:
        with troubles_named():
            yield
    except (SettingsInvalid, LedgerUnusable) as trouble:
        typer.echo(str(trouble), err=True)
        raise typer.Exit(EXIT_UNUSABLE) from None


def _print_table(title: str, columns: tuple[str, ...], items: list[dict[str, Any]]) -> None:
    table = Table(*columns, title=title, title_justify="left")
    for item in items:
        table.add_row(*("" if item[column] is None else str(item[column]) for column in columns))
    Console().print(table)
