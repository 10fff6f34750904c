"""`countersign demo`: everything on one machine, on made-up settlements, and an audit at the end."""

import signal
from pathlib import Path
from typing import Annotated

import httpx
import redis
import typer

from countersign.sandbox.demo.folder import FolderInUse
from countersign.sandbox.demo.ports import NoFreePort
from countersign.sandbox.demo.processes import ProcessFailed
from countersign.sandbox.demo.records import RecordUnreadable
from countersign.sandbox.demo.run import Options, run_demo
from countersign.sandbox.demo.stopping import Interrupted, TookTooLong
from countersign.sandbox.demo.valkey import NoServerFound
from countersign.sandbox.demo.view import console_for_people

_EXIT_FAILED, _EXIT_UNUSABLE, _EXIT_SIGNAL = 1, 2, 128

app = typer.Typer(add_completion=False)


@app.command()
def demo(
    *,
    settlements: Annotated[int, typer.Option(min=1, help="How many settlements to make.")] = 40,
    workers: Annotated[int, typer.Option(min=1, help="How many worker processes to run.")] = 2,
    seed: Annotated[int, typer.Option(help="Fixes which settlements are made, and their order.")] = 1,
    stay: Annotated[bool, typer.Option("--stay", help="Keep it all running until Ctrl-C.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="End with one line of JSON.")] = False,
    keep: Annotated[
        Path | None, typer.Option(help="Keep the run's ledger and logs in this new or empty folder.")
    ] = None,
    timeout_seconds: Annotated[float, typer.Option(min=1, help="When to give up waiting.")] = 120,
) -> None:
    """Run everything here on made-up settlements, and compare the ledger with what KeyStone saw.

    Needs no service and no account. Exits with 0 only if no event was lost and no decision doubled. Whatever
    it starts it also stops, on Ctrl-C too.
    """
    options = Options(
        settlements=settlements,
        workers=workers,
        seed=seed,
        stay=stay,
        as_json=as_json,
        keep=keep,
        timeout_seconds=timeout_seconds,
    )
    try:
        status = run_demo(options, console_for_people())
    except Interrupted as stopped:
        typer.echo(f"{stopped}: everything that the demo started is stopped too", err=True)
        status = _EXIT_SIGNAL + (stopped.signal_number or signal.SIGINT)
    except (FolderInUse, NoFreePort, NoServerFound) as unusable:
        typer.echo(str(unusable), err=True)
        status = _EXIT_UNUSABLE
    except (ProcessFailed, RecordUnreadable, TookTooLong, httpx.HTTPError, redis.RedisError) as failed:
        typer.echo(str(failed), err=True)
        if keep is None:
            typer.echo("the logs went with the run: `--keep DIR` keeps them the next time", err=True)
        status = _EXIT_FAILED
    raise typer.Exit(status)
