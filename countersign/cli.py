"""The front door: maps each command to the room that has it, and loads a room only when it is asked for.

So the receiver's machine needs no SQLModel to print its help, and a missing extra is one line that names it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer.main
from typer.core import TyperCommand, TyperGroup

from countersign import __version__

if TYPE_CHECKING:  # Typer carries its own copy of click, which has no public name.
    from typer._click import Command, Context

_OURS = frozenset({"countersign", "receiver", "workers"})


class Door(NamedTuple):
    """Where a command lives, which extra installs what it needs, and what the help says of it."""

    app: str
    extra: str
    help: str


DOORS: dict[str, Door] = {
    "receiver": Door("receiver.commands:app", "receiver", "Take webhooks in: verify, enqueue, answer."),
    "worker": Door("workers.commands:app", "worker", "Judge flagged settlements and submit decisions."),
    "migrate": Door("workers.ledger.commands:migrate", "worker", "Bring the ledger's tables up to date."),
    "cases": Door("workers.ledger.commands:cases", "worker", "Show the cases and what became of them."),
    "events": Door("workers.ledger.commands:events", "worker", "Show the events that KeyStone sent."),
    "ledger": Door("workers.ledger.commands:ledger", "worker", "Verify the hash-chained record."),
    "handlers": Door("workers.handler_commands:app", "worker", "Show the compliance handlers found here."),
    "webhook": Door("countersign.operations.commands:webhook", "all", "Register the receiver with KeyStone."),
    "token": Door("countersign.operations.token_commands:app", "all", "Show the fleet's machine token."),
    "keygen": Door(
        "countersign.operations.keygen:app", "receiver", "Print a new key for SEAL_KEYS or LEDGER_KEYS."
    ),
    "sandbox": Door(
        "countersign.sandbox.commands:app", "sandbox", "Run a local KeyStone for development and tests."
    ),
    "demo": Door(
        "countersign.sandbox.demo.commands:app", "all", "Run everything here, on made-up settlements."
    ),
}


class LazyGroup(TyperGroup):
    """A command group that imports a command's room when, and only when, that command is about to run."""

    def list_commands(self, ctx: Context) -> list[str]:  # noqa: ARG002 - the signature is Typer's.
        """Name the commands in the order of the table above."""
        return list(DOORS)

    def get_command(self, ctx: Context, cmd_name: str) -> Command | None:  # noqa: ARG002 - likewise.
        """Describe one command from the table, which imports nothing."""
        door = DOORS.get(cmd_name)
        return None if door is None else TyperCommand(cmd_name, help=door.help)

    def resolve_command(self, ctx: Context, args: list[str]) -> tuple[str | None, Command | None, list[str]]:
        """Load the command that is about to run."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, command if name is None else _loaded(name, DOORS[name]), rest


def _loaded(name: str, door: Door) -> Command:
    module, _, attribute = door.app.partition(":")
    try:
        room = importlib.import_module(module)
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] in _OURS:
            raise
        typer.echo(
            f"`countersign {name}` needs {missing.name}, which is not installed here. "
            f"Install it with: pip install 'keystone-countersign[{door.extra}]'",
            err=True,
        )
        raise typer.Exit(code=2) from None
    command = typer.main.get_command(getattr(room, attribute))
    command.name = name
    return command


app = typer.Typer(
    cls=LazyGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # Typer's own traceback shows local variables, secrets among them.
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"countersign {__version__}")
        raise typer.Exit


@app.callback()
def _front_door(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Turn KeyStone OS compliance flags into one recorded decision each."""


def main() -> None:
    """Run the command line."""
    app()
