"""The front door: maps each command to the room that has it, and loads a room only when it is asked for.

So the receiver's machine needs no SQLModel to print its help, and a missing extra is one line that names it.
"""

import importlib
from typing import NamedTuple

import click
import typer.main
from typer.core import TyperGroup

from countersign import __version__


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
    """A command group that imports a command's room when, and only when, the command is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature.
        """Name the commands in the order of the table above."""
        return list(DOORS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - likewise.
        """Describe one command from the table; nothing is imported for that."""
        door = DOORS.get(cmd_name)
        return None if door is None else click.Command(cmd_name, help=door.help)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Load the command that is about to run."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, command if name is None else _loaded(name, DOORS[name]), rest


def _loaded(name: str, door: Door) -> click.Command:
    module, _, attribute = door.app.partition(":")
    try:
        app = getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] in {"countersign", "receiver", "workers"}:
            raise
        raise click.ClickException(
            f"`countersign {name}` needs {missing.name}, which is not installed here. "
            f"Install it with: pip install 'keystone-countersign[{door.extra}]'"
        ) from None
    command = typer.main.get_command(app)
    command.name = name
    return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="countersign")
def main() -> None:
    """Turn KeyStone OS compliance flags into one recorded decision each."""
