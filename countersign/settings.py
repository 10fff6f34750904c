"""How every process reads its settings: from `COUNTERSIGN_…`, secrets also from `COUNTERSIGN_…_FILE`.

Each process has a class of its own, which lists exactly what that process needs. A process refuses to start
with a secret in its environment that is not its own: a key that lies where nobody uses it is only a risk.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, BeforeValidator, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from countersign.sealing import decoded_key

PREFIX = "COUNTERSIGN_"

SECRET_NAMES = frozenset({"CLIENT_SECRET", "DATABASE_URL", "LEDGER_KEYS", "SEAL_KEYS", "WEBHOOK_SECRETS"})
"""Settings that only the processes which declare them may have in their environment."""


class SettingsInvalid(Exception):
    """The settings can't be used. The message lists every problem at once and never shows a value."""


def _split(value: object) -> object:
    return (
        [part for part in value.replace("\n", ",").split(",") if part.strip()]
        if isinstance(value, str)
        else value
    )


def _stripped(values: list[SecretStr]) -> list[SecretStr]:
    return [SecretStr(value.get_secret_value().strip()) for value in values]


def _keys(values: list[SecretStr]) -> list[SecretStr]:
    for value in _stripped(values):
        decoded_key(value.get_secret_value())
    return _stripped(values)


SecretList = Annotated[list[SecretStr], NoDecode, BeforeValidator(_split), AfterValidator(_stripped)]
"""Secrets separated by commas or line ends."""

KeyList = Annotated[list[SecretStr], NoDecode, BeforeValidator(_split), AfterValidator(_keys)]
"""Sealing keys (32 bytes in base64 each) separated by commas or line ends; the first one seals."""


class ProcessSettings(BaseSettings):
    """The base of each process's settings: where values come from, and what is refused."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True)

    process_name: ClassVar[str]
    may_hold_every_secret: ClassVar[bool] = False
    """Only true for commands that a person runs, on a machine that has all settings."""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Read the settings of this process.

        Raises:
            SettingsInvalid: A value is missing or wrong, a secret file can't be read, or a secret is here
                that belongs to another process. All problems are in the one message.

        """
        given = dict(os.environ if environ is None else environ)
        declared = {name.upper() for name in cls.model_fields}
        problems = [
            f"{PREFIX}{name} is set, but the {cls.process_name} must not hold it: take it out"
            for name in sorted(frozenset() if cls.may_hold_every_secret else SECRET_NAMES - declared)
            if f"{PREFIX}{name}" in given or f"{PREFIX}{name}_FILE" in given
        ]
        values = _values(given, declared, problems)
        try:
            settings = cls.model_validate({name.lower(): value for name, value in values.items()})
        except ValidationError as error:
            problems += [_told(each) for each in error.errors(include_input=False, include_context=False)]
            settings = None
        if problems or settings is None:
            lines = "\n".join(f"  - {problem}" for problem in problems)
            raise SettingsInvalid(f"the {cls.process_name} can't start with these settings:\n{lines}")
        return settings

    @classmethod
    def settings_customise_sources(cls, *_: Any, **sources: Any) -> tuple[Any, ...]:  # noqa: ANN401 - the signature is pydantic's.
        """Take only what `from_environment` hands over, so that there is one way in and it can be tested."""
        return (sources["init_settings"],)


def _values(given: Mapping[str, str], declared: set[str], problems: list[str]) -> dict[str, str]:
    values = {}
    for name in sorted(declared):
        plain, in_file = given.get(PREFIX + name), given.get(f"{PREFIX}{name}_FILE")
        if plain is not None and in_file is not None:
            problems.append(f"{PREFIX}{name} and {PREFIX}{name}_FILE are both set: keep one of them")
        elif in_file is not None:
            try:
                values[name] = Path(in_file).read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                problems.append(f"{PREFIX}{name}_FILE can't be read: {type(error).__name__}")
        elif plain is not None:
            values[name] = plain
    return values


def _told(error: Mapping[str, Any]) -> str:
    name = PREFIX + str(error["loc"][0]).upper() if error["loc"] else "the settings"
    if error["type"] == "missing":
        return f"{name} is missing (or {name}_FILE)"
    return f"{name}: {error['msg']}"
