"""The documents: what they list is what there is, and nothing that there is goes unlisted."""

import ast
import importlib
import pkgutil
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main

import countersign
from countersign.cli import DOORS
from countersign.settings import PREFIX, SECRET_NAMES, ProcessSettings

REPOSITORY = Path(__file__).parents[2]
DOCS = REPOSITORY / "docs"
ROOMS = ("countersign", "receiver", "workers")


def first_cells(document: str) -> list[str]:
    rows = [row for row in (DOCS / document).read_text().splitlines() if row.startswith("| `")]
    return [re.split(r"(?<!\\)\|", row)[1].strip().strip("`") for row in rows]


def cells(document: str, first: str) -> list[str]:
    row = next(row for row in (DOCS / document).read_text().splitlines() if row.startswith(f"| `{first}` |"))
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]]


def settings_classes() -> list[type[ProcessSettings]]:
    for room in ROOMS:
        package = importlib.import_module(room)
        for module in pkgutil.walk_packages(package.__path__, f"{room}."):
            if module.name.rpartition(".")[2].endswith("settings"):
                importlib.import_module(module.name)
    return list(descendants(ProcessSettings))


def descendants(kind: type[ProcessSettings]) -> Iterator[type[ProcessSettings]]:
    for each in kind.__subclasses__():
        if each.__module__.partition(".")[0] in ROOMS:
            yield each
            yield from descendants(each)


def declared_settings() -> dict[str, list[type[ProcessSettings]]]:
    declared: dict[str, list[type[ProcessSettings]]] = {}
    for kind in settings_classes():
        for field in kind.model_fields:
            declared.setdefault(PREFIX + field.upper(), []).append(kind)
    # A secret may always be given as a file; the page says so once, above the table.
    as_files = {f"{name}_FILE" for name in declared}
    return {name: kinds for name, kinds in declared.items() if name not in as_files}


def test_every_setting_is_documented_and_every_documented_one_exists() -> None:
    declared = declared_settings()
    assert len(declared) > len(SECRET_NAMES)
    documented = first_cells("configuration.md")
    assert sorted(documented) == sorted(declared)


def test_a_setting_is_documented_for_each_process_that_reads_it() -> None:
    for name, kinds in declared_settings().items():
        processes = cells("configuration.md", name)[1]
        for kind in kinds:
            if hasattr(kind, "process_name"):  # The bases that several processes share are none themselves.
                assert kind.process_name in processes, f"{kind.process_name} reads {name}"


def registered_metrics() -> Iterator[tuple[str, str]]:
    """Find where metrics are made: calls of what a module imports from prometheus_client."""
    for room in ROOMS:
        for path in (REPOSITORY / room).rglob("*.py"):
            tree = ast.parse(path.read_text())
            kinds = {
                alias.asname or alias.name: alias.name.removesuffix("MetricFamily").lower()
                for node in ast.walk(tree)
                if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("prometheus_client")
                for alias in node.names
            }
            for node in ast.walk(tree):
                match node:
                    case ast.Call(func=ast.Name(id=name), args=[ast.Constant(value=str(metric)), *_]):
                        if name in kinds:
                            yield metric, kinds[name]


def test_every_metric_is_documented_with_its_kind_and_every_documented_one_exists() -> None:
    registered = dict(registered_metrics())
    assert registered
    assert all(name.startswith("countersign_") for name in registered)
    documented = {name: cells("metrics.md", name)[1] for name in first_cells("metrics.md")}
    assert {exposed(name, kind): kind for name, kind in registered.items()} == documented


def exposed(name: str, kind: str) -> str:
    return name.removesuffix("_total") + "_total" if kind == "counter" else name


def command_names() -> Iterator[str]:
    for name, door in DOORS.items():
        module, _, attribute = door.app.partition(":")
        command = typer.main.get_command(getattr(importlib.import_module(module), attribute))
        below = getattr(command, "commands", {})
        yield from (f"countersign {name} {each}" for each in below)
        if not below:
            yield f"countersign {name}"


def test_every_command_is_documented_and_every_documented_one_exists() -> None:
    assert sorted(first_cells("commands.md")) == sorted(command_names())


def test_every_built_in_handler_has_its_page() -> None:
    pyproject = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    handlers = pyproject["project"]["entry-points"]["countersign.handlers"]
    assert handlers
    assert {path.stem for path in (DOCS / "handlers").glob("*.md")} - {"README"} == set(handlers)


def test_the_changelog_knows_this_version() -> None:
    versions = re.findall(r"^## \[(\d[^]]*)]", (REPOSITORY / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert versions[0] == countersign.__version__


def test_every_decision_is_listed_and_has_its_parts() -> None:
    decisions = DOCS / "decisions"
    records = sorted(decisions.glob("[0-9]*.md"))
    index = (decisions / "README.md").read_text()
    assert [record.name[:4] for record in records] == [
        f"{number:04}" for number in range(1, len(records) + 1)
    ]
    for record in records:
        text = record.read_text()
        assert f"({record.name})" in index
        assert text.startswith(f"# {record.name[:4]}. ")
        for part in (
            "- Status: ",
            "- Date: ",
            "## Context",
            "## Decision",
            "## Consequences",
            "## Alternatives",
        ):
            assert part in text, f"{record.name} lacks {part}"


def test_the_readme_begins_with_what_a_newcomer_asks_in_that_order() -> None:
    readme = (REPOSITORY / "README.md").read_text()
    asked = ("![", "## Two commands", "$ make demo", "0 lost, 0 doubled", "$ make test", "## Point it at")
    assert sorted(asked, key=readme.index) == list(asked)
    assert readme.index("## Point it at") < readme.index("## Write a handler")
    first = " ".join(readme.split("\n\n")[1].split())
    assert len(re.findall(r"\.(?: |$)", first)) == 3


def test_the_handler_of_the_readme_is_the_tested_example_and_short() -> None:
    [shown] = re.findall(r"```python\n(.*?)```", (REPOSITORY / "README.md").read_text(), re.DOTALL)
    assert shown == (REPOSITORY / "examples" / "big_trades.py").read_text()
    assert len([line for line in shown.splitlines() if line.strip()]) <= 10


@pytest.mark.parametrize(
    "page", sorted([*DOCS.rglob("*.md"), *REPOSITORY.glob("*.md")]), ids=lambda page: page.name
)
def test_no_link_in_a_page_leads_nowhere(page: Path) -> None:
    for target in re.findall(r"]\(([^)#\s]+)", page.read_text()):
        if "://" not in target and not target.startswith("mailto:"):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
