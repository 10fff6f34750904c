"""What must never reach a log does not, wherever in a line it stands."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from countersign.log import HIDDEN, configure_logging, guarded

TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJtMm0ifQ.c2lnbmF0dXJl"
WALLET = "0x" + "aB" * 20


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """Set up logging as a process does, and give back what it writes."""
    root, before = logging.getLogger(), logging.getLogger().handlers[:]
    level = root.level
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    configure_logging("test", level="DEBUG", readable=False)
    yield stream
    root.handlers[:] = before
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.mark.parametrize(
    "secret",
    [
        TOKEN,
        f"Bearer {TOKEN}",
        "whsec_0123456789abcdef",
        WALLET,
        "redis://user:s3cret-word@host:6379/0",
        "postgresql+psycopg://countersign:s3cret-word@host/name",
    ],
)
def test_a_secret_is_hidden_by_how_it_looks(written: io.StringIO, secret: str) -> None:
    log = structlog.get_logger("ours")
    log.info("called", told=f"it said {secret} and left", listed=[secret], nested={"deep": (secret,)})
    logging.getLogger("theirs").warning("sent %s", secret)

    shown = written.getvalue()
    assert HIDDEN in shown
    assert not any(part in shown for part in (TOKEN, "0123456789abcdef", WALLET, "s3cret-word"))


@pytest.mark.parametrize(
    "key", ["client_secret", "access_token", "Authorization", "name", "wallet_address", "deposit_key", "body"]
)
def test_a_value_is_hidden_by_its_name(written: io.StringIO, key: str) -> None:
    structlog.get_logger("ours").info("called", **{key: "harmless looks"}, nested={key: "harmless looks"})

    assert "harmless looks" not in written.getvalue()


def test_a_traceback_is_guarded_too(written: io.StringIO) -> None:
    try:
        int(TOKEN)
    except ValueError:
        structlog.get_logger("ours").exception("failed")
        logging.getLogger("theirs").exception("failed too")

    shown = written.getvalue()
    assert shown.count("ValueError") == 2
    assert TOKEN not in shown


def test_what_an_operator_needs_stays(written: io.StringIO) -> None:
    structlog.get_logger("ours").info("case_ended", case_id="case_1", settlement_id="stl-1", seconds=0.5)

    line = json.loads(written.getvalue())
    assert (line["event"], line["case_id"], line["settlement_id"]) == ("case_ended", "case_1", "stl-1")
    assert (line["seconds"], line["process"], line["level"]) == (0.5, "test", "info")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON)
def test_guarding_never_fails_and_changes_nothing_twice(value: object) -> None:
    once = guarded(value)

    assert guarded(once) == once
