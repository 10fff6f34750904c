"""`countersign keygen`: a new key for `SEAL_KEYS` or `LEDGER_KEYS`."""

import typer

from countersign.sealing import new_key

app = typer.Typer(add_completion=False)


@app.command()
def keygen() -> None:
    """Print a new key: 32 random bytes in base64.

    To rotate, put the new key in front of the old one: the first of the list seals, and all of them open.
    """
    typer.echo(new_key())
