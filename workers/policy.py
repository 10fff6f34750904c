"""The policy file: what this deployment may decide by itself, and how far each handler's vote reaches.

Everything is off until the file switches it on. Its SHA-256 is recorded with every decision, so that an
auditor can lay the file of that day next to it.
"""

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from countersign.settlement import Settlement
from countersign.verdict import Mode, Powers

EVERY_TEMPLATE = "*"

HANDLER_NAME = r"^[a-z][a-z0-9_]{0,63}$"
TARGET = r"^[A-Za-z_][\w.]*:[A-Za-z_][\w.]*$"


class PolicyInvalid(Exception):
    """The policy file can't be used. The message lists every problem at once and shows no setting's value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HandlerPolicy:
    """What the policy says of one handler. `required` is None where its author's own word stands."""

    mode: Mode = Mode.ENFORCE
    required: bool | None = None
    module: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """One policy file as it was read. `digest` is the SHA-256 of its bytes, in hex.

    `folder` is where the file lies: a handler that the file names as `module:name` may lie beside it.
    """

    auto_approve: frozenset[str] = frozenset()
    auto_reject: frozenset[str] = frozenset()
    handlers: Mapping[str, HandlerPolicy] = field(default_factory=dict)
    digest: str = hashlib.sha256(b"").hexdigest()
    folder: Path | None = None

    def for_handler(self, name: str) -> HandlerPolicy:
        """Return what is said of this handler; one that is not mentioned is enforced."""
        return self.handlers.get(name, HandlerPolicy())

    def powers(self, settlement: Settlement, *, deposited: bool) -> Powers:
        """Return what may be decided without a person for this settlement.

        A settlement that names no template gets no power, not even under `*`: what it is can't be said.
        """
        names = {settlement.template_slug, settlement.template_id} - {None}
        known = names | {EVERY_TEMPLATE} if names else set()
        return Powers(
            auto_approve=not self.auto_approve.isdisjoint(known),
            auto_reject=not self.auto_reject.isdisjoint(known),
            deposited=deposited,
        )


def read_policy(path: Path | None) -> Policy:
    """Read the policy file. Without one nothing is decided here: every case is held for a person.

    Raises:
        PolicyInvalid: The file can't be read, or something in it is wrong or unknown.

    """
    if path is None:
        return Policy()
    try:
        content = path.read_bytes()
    except OSError as error:
        raise PolicyInvalid(
            f"the policy file {path} can't be read ({type(error).__name__}): "
            "without it no case could be judged as you decided. Check the path and who may read it"
        ) from None
    return parse_policy(content, folder=path.absolute().parent, called=str(path))


def parse_policy(content: bytes, *, folder: Path | None = None, called: str = "the policy") -> Policy:
    """Read a policy from its bytes; `called` is how an error message names it.

    Raises:
        PolicyInvalid: Something in it is wrong or unknown. Every problem is in the one message.

    """
    try:
        tables = _File.model_validate(tomllib.loads(content.decode()))
    except UnicodeDecodeError:
        raise PolicyInvalid(f"{called} is not UTF-8 text, as TOML must be") from None
    except tomllib.TOMLDecodeError as error:
        raise PolicyInvalid(f"{called} is not valid TOML: {error}") from None
    except ValidationError as error:
        lines = "\n".join(f"  - {_told(each)}" for each in error.errors(include_url=False))
        raise PolicyInvalid(f"{called} can't be used:\n{lines}") from None
    return Policy(
        auto_approve=frozenset(tables.powers.auto_approve),
        auto_reject=frozenset(tables.powers.auto_reject),
        handlers={name: _handler(table) for name, table in tables.handlers.items()},
        digest=hashlib.sha256(content).hexdigest(),
        folder=folder,
    )


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


_Templates = Annotated[list[Annotated[str, Field(min_length=1)]], Field(default_factory=list)]


class _PowersTable(_Table):
    auto_approve: _Templates
    auto_reject: _Templates


class _HandlerTable(_Table):
    mode: Annotated[Mode, Field(strict=False)] = Mode.ENFORCE
    required: bool | None = None
    module: Annotated[str | None, Field(pattern=TARGET)] = None
    settings: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _not_required_and_off(self) -> Self:
        if self.required and self.mode is Mode.OFF:
            raise PydanticCustomError("contradiction", "It is required and switched off at once")
        return self


class _File(_Table):
    powers: _PowersTable = Field(default_factory=lambda: _PowersTable.model_validate({}))
    handlers: dict[Annotated[str, Field(pattern=HANDLER_NAME)], _HandlerTable] = Field(default_factory=dict)


def _handler(table: _HandlerTable) -> HandlerPolicy:
    return HandlerPolicy(
        mode=table.mode, required=table.required, module=table.module, settings=_plain(table.settings)
    )


def _plain(value: Any) -> Any:  # noqa: ANN401 - any TOML value.
    # Settings cross into a handler's process as JSON, so a date is its ISO text for every handler alike.
    match value:
        case dict():
            return {name: _plain(inner) for name, inner in value.items()}
        case list():
            return [_plain(inner) for inner in value]
        case datetime() | date() | time():
            return value.isoformat()
        case _:
            return value


def _told(error: Any) -> str:  # noqa: ANN401 - pydantic's own error dictionary.
    where = ".".join(str(part) for part in error["loc"] if part != "[key]")
    match error["type"]:
        case "extra_forbidden":
            return f"unknown key {where}"
        case "string_pattern_mismatch" if where.endswith(".module"):
            return f"{where} must be written `package.module:name`"
        case "string_pattern_mismatch":
            return f"{where} is no handler's name: small letters, digits and underscores, 64 at most"
        case "model_type" | "dict_type":
            return f"{where} must be a table"
        case _:
            return f"{where}: {error['msg'][0].lower()}{error['msg'][1:]}"
