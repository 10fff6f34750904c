"""The token and the client secret leave no trace: in no log line, traceback, repr, exception or hook."""

import logging
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from countersign.keystone.client import KeystoneClient
from countersign.keystone.errors import KeystoneError
from countersign.keystone.machine_token import MachineToken
from countersign.verdict import Decision
from tests.keystone.asking import Told, access_to, client_of
from tests.services.sandbox import SandboxProcess

TROUBLES: dict[str, dict[str, object]] = {
    "none": {},
    "server error": {"server_error": True},
    "cut off": {"cut_after": True},
    "cut in the middle": {"cut_middle": True},
    "unauthorized": {"unauthorized": True},
    "throttled": {"too_many_requests": True},
    "a page": {"html_answer": {"status": 200}},
    "no token": {"server_error": {"routes": ["token"]}},
    "no keys": {"server_error": {"routes": ["jwks"]}},
    "another audience": {"token_answer": "wrong_audience"},
    "an expired token": {"token_answer": "expired"},
}


@contextmanager
def everything_logged() -> Iterator[None]:
    """Log whatever the HTTP libraries have to say, without the guard that production has over it."""
    root, handler = logging.getLogger(), logging.StreamHandler()
    level, levels = root.level, {name: logging.getLogger(name).level for name in ("httpx", "httpcore")}
    root.addHandler(handler)
    root.setLevel("DEBUG")
    for name in levels:
        logging.getLogger(name).setLevel("DEBUG")
    try:
        yield
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
        for name, before in levels.items():
            logging.getLogger(name).setLevel(before)


def told_by(call: Callable[[], object]) -> str:
    """Return everything that a call shows when it fails, with the chain of causes and all local variables."""
    try:
        call()
    except KeystoneError as error:
        shown = traceback.TracebackException.from_exception(error, capture_locals=True)
        return "".join(shown.format()) + repr(error) + repr(error.__dict__)
    return ""


@pytest.mark.parametrize("trouble", TROUBLES)
def test_no_trouble_makes_the_token_or_the_secret_show(
    sandbox: SandboxProcess, told: Told, capfd: pytest.CaptureFixture[str], trouble: str
) -> None:
    issued: list[str] = []
    settlement_id = sandbox.flagged()
    with everything_logged(), client_of(sandbox, told) as client:
        spy(client, issued)
        sandbox.set(**TROUBLES[trouble])
        shown = "".join(
            (
                told_by(lambda: client.settlement(settlement_id)),
                told_by(lambda: client.decide(settlement_id, Decision.APPROVE)),
                repr(vars(client)),
                repr(client.tokens),
                repr(access_to(sandbox)),
                repr(told),
            )
        )
    shown += "".join(capfd.readouterr())

    assert "httpcore" in shown
    for secret in (*issued, sandbox.client_secret):
        assert secret not in shown
    assert "eyJ" not in shown


def spy(client: KeystoneClient, issued: list[str]) -> None:
    """Note the value of each token before it is used, also of those that will be refused."""
    source = client.tokens.token

    def noted() -> MachineToken:
        token = source()
        issued.append(token.value)
        return token

    client.tokens.token = noted  # type: ignore[method-assign]
