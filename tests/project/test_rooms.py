"""The rooms: what import-linter can't say of them (its contracts are in `pyproject.toml`)."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services.processes import run

REPOSITORY = Path(__file__).parents[2]
ROOMS = ("countersign", "receiver", "workers")
MODULES = sorted(path for room in ROOMS for path in (REPOSITORY / room).rglob("*.py"))

POLICY = ("case", "facts", "handler", "reasons", "settlement", "verdict", "votes")
LONGEST_MODULE = 300
SAY_NOTHING = {"utils", "util", "common", "helpers", "helper", "manager", "managers", "data", "misc", "kit"}


def imported_names(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=str(module), level=0):
                yield module
            case ast.ImportFrom():
                yield "a relative import"


@pytest.mark.parametrize("module", POLICY)
def test_policy_is_plain_python(module: str) -> None:
    allowed = {f"countersign.{name}" for name in POLICY}
    for name in imported_names(REPOSITORY / "countersign" / f"{module}.py"):
        assert name in allowed or name.partition(".")[0] in sys.stdlib_module_names, name


def test_policy_is_all_that_an_author_of_handlers_imports() -> None:
    names = set(imported_names(REPOSITORY / "countersign" / "__init__.py"))
    assert names == {f"countersign.{name}" for name in POLICY} - {"countersign.verdict"}


def test_nothing_reads_a_setting_or_opens_a_connection_when_it_is_imported() -> None:
    not_for_import = {"countersign.__main__", "workers.ledger.migrations.env"}  # Programs, not modules.
    names = {".".join(path.relative_to(REPOSITORY).with_suffix("").parts) for path in MODULES}
    names = {name.removesuffix(".__init__") for name in names}
    program = (
        "import importlib, os, sys\n"
        "import wsgiref.handlers\n"  # Python's own, and copies the environment.
        "class Watched(type(os.environ)):\n"
        "    def __getitem__(self, name):\n"
        "        assert not str(name).startswith('COUNTERSIGN_'), name\n"
        "        return super().__getitem__(name)\n"
        "def watch(event, arguments):\n"
        "    assert event not in ('socket.connect', 'socket.bind', 'sqlite3.connect'), event\n"
        "os.environ.__class__ = Watched\n"
        "sys.addaudithook(watch)\n"
        "for name in sys.argv[1:]:\n"
        "    importlib.import_module(name)\n"
    )
    # Where one is set, copying the whole environment counts as reading it.
    run(sys.executable, "-c", program, *names - not_for_import, environment={"COUNTERSIGN_LOG_LEVEL": "INFO"})


def test_modules_are_short_and_their_names_say_what_is_in_them() -> None:
    assert len(MODULES) > 50
    for path in MODULES:
        assert len(path.read_text().splitlines()) <= LONGEST_MODULE, path
        assert path.stem not in SAY_NOTHING, path


def test_the_top_level_has_no_other_package() -> None:
    assert {path.parent.name for path in REPOSITORY.glob("*/__init__.py")} == set(ROOMS)


def test_a_type_is_never_silenced_without_its_code_nor_work_left_for_later() -> None:
    # Written so that this file does not find itself.
    forbidden = ["type: ignore\n", "TO" + "DO", "FIX" + "ME", "XX" + "X"]
    for path in [*MODULES, *(REPOSITORY / "tests").rglob("*.py")]:
        if path != Path(__file__):
            text = path.read_text()
            assert not [word for word in forbidden if word in text], path


def test_every_exception_to_a_lint_rule_gives_its_reason() -> None:
    mark = "# no" + "qa: "  # Written so that this file does not find itself.
    for path in [*MODULES, *(REPOSITORY / "tests").rglob("*.py")]:
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if mark in line:
                reason = line.partition(mark)[2].partition(" - ")[2]
                assert reason, f"{path}:{number} gives no reason"


def test_nothing_that_is_committed_names_the_machine_on_which_it_was_written() -> None:
    mine = str(REPOSITORY)
    texts = [*MODULES, *(REPOSITORY / "docs").rglob("*.md"), *(REPOSITORY / "requirements").iterdir()]
    for path in texts:
        assert mine not in path.read_text(), path
