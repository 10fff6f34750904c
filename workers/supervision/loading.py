"""Loading a handler by `module:name`: what it says of itself, its judge with its settings, its code's digest.

Only a process of the handler's own loads code that isn't ours.
"""

import hashlib
import importlib
import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import reduce
from pathlib import Path
from types import ModuleType
from typing import Any

from countersign import Case, Handler, Vote
from countersign.handler import Judge

_MOST_CHARACTERS = 300


class LoadFailed(Exception):
    """A handler can't be used. The message says why, for whoever installs it; it may quote the handler."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A handler that is ready to judge."""

    handler: Handler
    judge: Judge
    code_digest: str


def load(target: str, settings: Mapping[str, Any]) -> Loaded:
    """Import `module:name` and give the handler its settings.

    Raises:
        LoadFailed: The module can't be imported, what it has is no handler, or the settings are refused.

    """
    module_name, _, name = target.partition(":")
    try:
        module = importlib.import_module(module_name)
    except BaseException as error:  # noqa: BLE001 - a module may do anything, `sys.exit()` too.
        raise LoadFailed(f"importing {module_name} raised {_told(error)}") from None
    try:
        handler: Any = reduce(getattr, name.split("."), module)
    except AttributeError:
        raise LoadFailed(f"{module_name} has no {name}") from None
    if not isinstance(handler, Handler):
        raise LoadFailed(f"{target} is a {type(handler).__name__} and no handler: mark it with @handler(…)")
    try:
        judge = handler.make(settings)
    except BaseException as error:  # noqa: BLE001 - likewise.
        raise LoadFailed(f"its settings were refused: {_told(error)}") from None
    if not callable(judge):
        raise LoadFailed(f"{target} makes a {type(judge).__name__}, which can't be called with a case")
    try:
        return Loaded(handler=handler, judge=judge, code_digest=digest_of_code(module))
    except OSError as error:
        raise LoadFailed(f"the files of {module_name} can't be read: {type(error).__name__}") from None


def digest_of_code(module: ModuleType) -> str:
    """Return the SHA-256 of a module's source, with all that lies in the same package, in hex.

    What it imports from elsewhere is not in it: raise the handler's version when that matters.
    """
    file = getattr(module, "__file__", None)
    if file is None:
        return hashlib.sha256(b"").hexdigest()
    path = Path(file)
    files = sorted({path, *path.parent.rglob("*.py")}) if _is_in_package(module) else [path]
    digest = hashlib.sha256()
    for each in files:
        content = each.read_bytes()
        digest.update(f"{each.relative_to(path.parent).as_posix()}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def described(loaded: Loaded) -> dict[str, Any]:
    """Return what a handler says of itself as JSON-safe data; `read_description` reads it back."""
    handler = loaded.handler
    return {
        "name": handler.name,
        "version": handler.version,
        "events": sorted(handler.events),
        "templates": sorted(handler.templates),
        "requires": sorted(handler.requires),
        "required": handler.required,
        "budget_seconds": handler.budget.total_seconds(),
        "code_digest": loaded.code_digest,
    }


def read_description(plain: Mapping[str, Any]) -> tuple[Handler, str]:
    """Read what `described` wrote: the handler, which can't be made here, and its code's digest.

    Raises:
        LoadFailed: It is not a description.

    """
    try:
        handler = Handler(
            name=_text(plain["name"]),
            version=_text(plain["version"]),
            make=_lives_elsewhere,
            events=_texts(plain["events"]),
            templates=_texts(plain["templates"]),
            requires=_texts(plain["requires"]),
            required=plain["required"] is not False,
            budget=timedelta(seconds=float(plain["budget_seconds"])),
        )
        return handler, _text(plain["code_digest"])
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise LoadFailed(f"it describes itself in a way that can't be used: {_told(error)}") from None


def settings_digest(settings: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a handler's settings, in hex."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def extend_search(folders: Iterable[str]) -> None:
    """Let modules also be found in these folders, after all others: none can hide an installed one."""
    sys.path += [folder for folder in folders if folder not in sys.path]


def _is_in_package(module: ModuleType) -> bool:
    return bool(module.__package__)


def _lives_elsewhere(_settings: Mapping[str, Any]) -> Judge:
    def judge(_case: Case) -> Vote:
        raise LoadFailed("this handler runs in a process of its own and can't be called here")

    return judge


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("text was expected")
    return value


def _texts(values: object) -> frozenset[str]:
    if not isinstance(values, list):
        raise TypeError("a list was expected")
    return frozenset(_text(value) for value in values)


def _told(error: BaseException) -> str:
    text = " ".join(str(error).split())[:_MOST_CHARACTERS]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
