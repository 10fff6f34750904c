"""Logs: structlog for us and the standard library alike, JSON or readable, behind one guard.

The guard is the last word before a line is written: what must never reach a log is taken out by the name of
its key and by the look of its value, in messages, in fields and in tracebacks.
"""

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any

import structlog

HIDDEN = "[hidden]"

_SECRET_KEYS = re.compile(
    r"secret|token|password|authorization|signature|api_?key|seal|calldata|deposit_key|ledger_key"
    r"|^(party_)?name$|wallet|address|^body$|cookie",
    re.IGNORECASE,
)

_SECRET_VALUES = (
    re.compile(r"eyJ[\w-]{5,}\.[\w-]{5,}\.[\w-]*"),  # A JSON Web Token.
    re.compile(r"(?i)bearer\s+[^\s\"']+"),
    re.compile(r"whsec_[^\s\"']+"),
    re.compile(r"\b0x[0-9a-fA-F]{40}\b"),  # An EVM wallet.
    re.compile(r"(?<=://)[^/\s:@]*:[^/\s@]+(?=@)"),  # Credentials inside a URL.
    re.compile(r"(?<=deposit_secret)\W+[\w-]+"),
)


def guard(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Take secrets, tokens, names and wallets out of one log line (a structlog processor)."""
    for key, value in event.items():
        event[key] = HIDDEN if _SECRET_KEYS.search(key) and key != "event" else guarded(value)
    return event


def guarded(value: Any) -> Any:  # noqa: ANN401 - whatever was logged.
    """Return `value` with everything in it that looks like a secret hidden."""
    match value:
        case str():
            for pattern in _SECRET_VALUES:
                value = pattern.sub(HIDDEN, value)
            return value
        case Mapping():
            return {
                key: HIDDEN if _SECRET_KEYS.search(str(key)) else guarded(inner)
                for key, inner in value.items()
            }
        case bytes() | bytearray():
            return f"[{len(value)} bytes]"
        case Sequence():
            return [guarded(inner) for inner in value]
        case int() | float() | bool() | None:
            return value
        case _:
            return guarded(str(value))


def configure_logging(process: str, *, level: str = "INFO", readable: bool | None = None) -> None:
    """Set up logging for this process, the standard library's included. Call it once, at start.

    `readable` chooses colours for a terminal over JSON; by default it follows whether stderr is one.
    """
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
    ]
    terminal = sys.stderr.isatty() if readable is None else readable
    renderer = structlog.dev.ConsoleRenderer() if terminal else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            *shared[:1],
            structlog.stdlib.filter_by_level,
            *shared[1:4],
            *shared[5:],
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _named(process),
                guard,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for chatty in ("httpx", "httpcore"):  # They tell of each call what our own lines and metrics tell better.
        logging.getLogger(chatty).setLevel(logging.WARNING)


def _named(process: str) -> Any:  # noqa: ANN401 - structlog's processor type is this loose.
    def add(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event.setdefault("process", process)
        return event

    return add
