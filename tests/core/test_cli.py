"""The front door opens each room only when it is asked for, and says what a missing one needs."""

import sys

import pytest
from typer.testing import CliRunner

from countersign import __version__
from countersign.cli import DOORS, app

runner = CliRunner()


def test_the_overview_names_every_command() -> None:
    shown = runner.invoke(app, ["--help"]).output

    assert all(name in shown for name in DOORS)


@pytest.mark.parametrize("name", DOORS)
def test_every_command_loads_and_has_help(name: str) -> None:
    result = runner.invoke(app, [name, "--help"])

    assert result.exit_code == 0
    assert f"countersign {name}" in result.output or f"{name} [OPTIONS]" in result.output


def test_a_missing_extra_is_one_line_that_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dramatiq", None)
    for name in [name for name in sys.modules if name.startswith("workers.")]:
        monkeypatch.delitem(sys.modules, name)

    result = runner.invoke(app, ["worker"])

    assert result.exit_code == 2
    assert "pip install 'keystone-countersign[worker]'" in result.output
    assert len(result.output.strip().splitlines()) == 1


def test_the_version_is_told() -> None:
    assert runner.invoke(app, ["--version"]).output.strip() == f"countersign {__version__}"


def test_an_unknown_command_is_refused() -> None:
    assert runner.invoke(app, ["nonsense"]).exit_code == 2
