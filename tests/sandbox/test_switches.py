"""The switches and the control calls are those that the documentation lists, and no others."""

import re
from pathlib import Path
from typing import Literal, get_args, get_origin

import msgspec
import pytest

from countersign.sandbox.app import PLATFORM_CALLS
from countersign.sandbox.control import platform, records, scene
from countersign.sandbox.control.scene import SettlementsWish
from countersign.sandbox.magic import ENDINGS
from countersign.sandbox.switches import FAULT_NAMES, Switches

DOCS = (Path(__file__).parents[2] / "docs" / "sandbox.md").read_text(encoding="utf-8")


def rows(heading: str) -> dict[str, list[str]]:
    """The rows of the table whose head begins so, by their first cell."""
    table = DOCS.partition(f"| {heading} |")[2].partition("\n\n")[0]
    cells = [line.strip("| ").split(" | ") for line in table.splitlines()[2:]]
    return {row[0].strip("`"): row for row in cells}


BEHAVIOURS = {
    field.name: field for field in msgspec.structs.fields(Switches) if field.name not in FAULT_NAMES
}


def test_every_switch_is_documented_and_every_documented_one_exists() -> None:
    assert set(rows("switch | values (default first)")) == set(BEHAVIOURS)
    assert set(rows("switch | kind")) == FAULT_NAMES


@pytest.mark.parametrize("name", BEHAVIOURS)
def test_the_values_are_documented_with_the_default_first(name: str) -> None:
    field = BEHAVIOURS[name]
    documented = [value.strip(" `") for value in rows("switch | values (default first)")[name][1].split(",")]
    assert (
        documented[0] == str(field.default).lower() if isinstance(field.default, bool) else str(field.default)
    )
    if get_origin(field.type) is Literal:
        assert documented == [str(value) for value in get_args(field.type)]


def test_every_route_name_is_documented() -> None:
    listed = DOCS.partition("Route names:")[2].partition("\n\n")[0]
    names = {str(call.name) for call in PLATFORM_CALLS if hasattr(call, "name")}
    assert set(re.findall(r"`([a-z_]+)`", listed)) == names


def test_every_control_call_is_documented() -> None:
    documented = set(re.findall(r"`(GET|POST|PUT|DELETE) /_sandbox(/[^` ?]*)", DOCS))
    calls = [*records.CALLS, *scene.CALLS, *platform.CALLS]
    existing = {
        (str(method), path.replace("settlement_id:str", "id").replace(":str", ""))
        for call in calls
        for path in call.paths
        for method in call.http_methods
        if str(method) != "OPTIONS"
    }
    assert existing == documented


def test_every_wish_is_documented() -> None:
    assert set(rows("key | default")) == set(SettlementsWish.__struct_fields__)


def test_every_magic_ending_is_documented() -> None:
    assert set(rows("wallet ends in")) == set(ENDINGS)
