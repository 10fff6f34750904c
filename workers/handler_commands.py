"""`countersign handlers`: which compliance handlers would run here, and what the policy makes of them."""

import json
from pathlib import Path
from typing import Annotated, Any, ClassVar

import typer
from rich.console import Console
from rich.table import Table

from countersign.settings import ProcessSettings, SettingsInvalid
from countersign.verdict import Mode
from workers.policy import Policy, PolicyInvalid, read_policy
from workers.registry import BoundHandler, HandlersInvalid, find_handlers, load_handlers

EXIT_UNUSABLE = 2

_COLUMNS = ("handler", "version", "from", "mode", "required", "runs", "facts", "budget", "digest")
_SHORT_DIGEST = 12
_WIDTH = 120
"""A row stays one line, also where the output goes into a file."""

app = typer.Typer(no_args_is_help=True)


class HandlersSettings(ProcessSettings):
    """What these commands need: no secret, whoever runs them."""

    process_name: ClassVar[str] = "handlers command"
    may_hold_every_secret: ClassVar[bool] = True

    policy_file: Path | None = None


@app.callback()
def _handlers() -> None:
    """Show the compliance handlers found here."""


@app.command("list")
def list_handlers(
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object instead of a table.")
    ] = False,
    policy_file: Annotated[
        Path | None, typer.Option("--policy", help="Judge by this policy file and not by the settings'.")
    ] = None,
) -> None:
    """Load every handler as a worker would, and show it; what would stop a worker is said here too."""
    try:
        policy = read_policy(policy_file or HandlersSettings.from_environment().policy_file)
        items = _items(policy)
    except (SettingsInvalid, PolicyInvalid, HandlersInvalid) as trouble:
        typer.echo(str(trouble), err=True)
        raise typer.Exit(EXIT_UNUSABLE) from None
    if as_json:
        typer.echo(json.dumps({**_powers(policy), "items": items, "total": len(items)}))
    else:
        _print(policy, items)


def _items(policy: Policy) -> list[dict[str, Any]]:
    loaded = {bound.name: _told(bound) for bound in load_handlers(policy)}
    return [
        loaded.get(
            reference.name,
            {
                **dict.fromkeys(_COLUMNS),
                "handler": reference.name,
                "from": reference.origin,
                "mode": Mode.OFF,
            },
        )
        for reference in find_handlers(policy)
    ]


def _told(bound: BoundHandler) -> dict[str, Any]:
    return {
        "handler": bound.name,
        "version": bound.handler.version,
        "from": bound.origin,
        "mode": bound.mode,
        "required": bound.required,
        "runs": "inline" if bound.pool is None else "process",
        "facts": sorted(bound.handler.requires),
        "budget": bound.handler.budget.total_seconds(),
        "digest": bound.digest,
    }


def _powers(policy: Policy) -> dict[str, Any]:
    return {
        "policy_digest": policy.digest,
        "auto_approve": sorted(policy.auto_approve),
        "auto_reject": sorted(policy.auto_reject),
    }


def _print(policy: Policy, items: list[dict[str, Any]]) -> None:
    table = Table(*_COLUMNS, box=None, padding=(0, 2, 0, 0))
    for item in items:
        table.add_row(*(_cell(column, item[column]) for column in _COLUMNS))
    console = Console(width=max(Console().width, _WIDTH))
    console.print(table)
    for power in ("auto_approve", "auto_reject"):
        templates = ", ".join(_powers(policy)[power])
        console.print(f"{power}: {templates or 'off, every case is held'}", highlight=False)
    console.print(f"policy {policy.digest[:_SHORT_DIGEST]}", highlight=False)


def _cell(column: str, value: Any) -> str:  # noqa: ANN401 - one of a row's values.
    match column, value:
        case _, None:
            return "-"
        case "required", bool():
            return "yes" if value else "no"
        case "facts", list():
            return ", ".join(value) or "-"
        case "budget", float():
            return f"{value:g} s"
        case "digest", str():
            return value[:_SHORT_DIGEST]
        case _:
            return str(value)
