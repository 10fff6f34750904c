"""Handlers as nobody should write them. Each does one thing that must harm nobody but itself.

They are loaded in processes of their own, by the policy's `module`, with this folder as where to look.
"""

import asyncio
import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from countersign import (
    Case,
    Fact,
    Facts,
    Reason,
    TryLater,
    Vote,
    VoteOutcome,
    abstain,
    approve,
    escalate,
    handler,
)

SECRET = "tok_live_4711"
BUDGET = timedelta(seconds=0.5)


@handler(name="loops", version="1", budget=BUDGET)
def loops(_case: Case) -> Vote:
    while True:
        pass


@handler(name="clings", version="1", budget=BUDGET)
def clings(_case: Case) -> Vote:
    """Loops in C code, and never lets another thread of its interpreter run."""
    re.match(r"(a+)+$", "a" * 64 + "b")
    return approve()


class Stuck:
    """Never lets go either, and has all the time for it."""

    def __init__(self, pid_file: str) -> None:
        self.pid_file = Path(pid_file)

    def __call__(self, case: Case) -> Vote:
        self.pid_file.write_text(str(os.getpid()))
        return clings.make({})(case)  # type: ignore[return-value]


stuck = handler(name="stuck", version="1", budget=timedelta(minutes=2))(Stuck)


@handler(name="hogs", version="1", budget=timedelta(seconds=30))
def hogs(_case: Case) -> Vote:
    hoard = []
    while True:
        hoard.append(bytearray(16 * 1024 * 1024))


@handler(name="grabs", version="1", budget=timedelta(seconds=30))
def grabs(_case: Case) -> Vote:
    """Takes a gigabyte if it can, lets it go, and tells how much that was."""
    hoard: list[bytearray] = []
    with contextlib.suppress(MemoryError):
        hoard.extend(bytearray(16 * 1024 * 1024) for _ in range(64))
    return approve(mebibytes=16 * len(hoard))


@handler(name="exits", version="1")
def exits(_case: Case) -> Vote:
    os._exit(3)


@handler(name="crashes", version="1")
def crashes(_case: Case) -> Vote:
    os.kill(os.getpid(), signal.SIGSEGV)
    return approve()


@handler(name="leaves", version="1")
def leaves(_case: Case) -> Vote:
    sys.exit(f"bye {SECRET}")


@handler(name="raises", version="1")
def raises(case: Case) -> Vote:
    raise RuntimeError(f"{SECRET} for {case.settlement.parties[0].name}")


@handler(name="invents", version="1")
def invents(_case: Case) -> Vote:
    """Makes a class whose name is a secret, and raises it."""
    raise type(f"of {SECRET}", (Exception,), {})


@handler(name="prints", version="1")
def prints(case: Case) -> Vote:
    """Prints to every stream it can find, as a frame would look, and reads the standard input."""
    for _ in range(100):
        print(f"{SECRET} {case.settlement.parties[0].name}")  # noqa: T201 - that is the point.
    for fd in (1, 2):
        os.write(fd, b"\0\0\0\2{}")
    return abstain(note=f"read {len(sys.stdin.read())} characters")


@handler(name="forges", version="1")
def forges(_case: Case) -> Vote:
    """Writes an answer of its own to every pipe that it has."""
    forged = b'{"ask":"0","answer":{"outcome":"approve","reason":"checked.clear","note":"","evidence":{}}}'
    for fd in range(3, 64):
        try:
            os.write(fd, len(forged).to_bytes(4, "big") + forged)
        except OSError:
            continue
    return approve()


@handler(name="floods", version="1")
def floods(_case: Case) -> Vote:
    for fd in range(3, 64):
        try:
            os.write(fd, b"\xff" * 64)
        except OSError:
            continue
    return approve()


@handler(name="closes", version="1")
def closes(_case: Case) -> Vote:
    """Closes all its pipes, and lives on."""
    os.closerange(3, 64)
    threading.Event().wait()
    return approve()


class Multiplies:
    """Starts a process that would outlive it."""

    def __init__(self, pid_file: str) -> None:
        self.pid_file = Path(pid_file)

    def __call__(self, _case: Case) -> Vote:
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        self.pid_file.write_text(str(child.pid))
        threading.Event().wait()
        return approve()


multiplies = handler(name="multiplies", version="1", budget=BUDGET)(Multiplies)


class Recovers:
    """Dies on the first case it ever sees, and never again."""

    def __init__(self, mark: str) -> None:
        self.mark = Path(mark)

    def __call__(self, _case: Case) -> Vote:
        if not self.mark.exists():
            self.mark.touch()
            os._exit(1)
        return approve()


recovers = handler(name="recovers", version="1")(Recovers)


class Waits:
    """Asks for later."""

    def __init__(self, seconds: int = 30) -> None:
        self.seconds = seconds

    def __call__(self, _case: Case) -> Vote:
        raise TryLater(timedelta(seconds=self.seconds), "the list is loading")


waits = handler(name="waits", version="1")(Waits)


class Sleeps:
    """Is slow until a file appears, and leaves a mark when it begins."""

    def __init__(self, until: str) -> None:
        self.until = Path(until)

    def __call__(self, _case: Case) -> Vote:
        self.until.with_suffix(f".{os.getpid()}").touch()
        while not self.until.exists():
            threading.Event().wait(0.01)
        return approve()


sleeps = handler(name="sleeps", version="1", budget=timedelta(seconds=20), events={"slow"})(Sleeps)


class Counts:
    """Tells how many cases this process has seen, and which process it is."""

    def __init__(self) -> None:
        self.seen = 0

    def __call__(self, _case: Case) -> Vote:
        self.seen += 1
        return approve(seen=self.seen, pid=os.getpid())


counts = handler(name="counts", version="1")(Counts)


class Awaits:
    """Is async, and needs the same event loop every time."""

    def __init__(self) -> None:
        self.loops: set[asyncio.AbstractEventLoop] = set()

    async def __call__(self, case: Case) -> Vote:
        await asyncio.sleep(0)
        self.loops.add(asyncio.get_running_loop())
        if case.event == "raise":
            raise LookupError(SECRET)
        return approve(loops=len(self.loops))


awaits = handler(name="awaits", version="1")(Awaits)


@handler(name="looks", version="1", requires={"country"}, events={"settlement.compliance.flagged"})
def looks(case: Case) -> Vote:
    """Tells what reached it: the whole case, and of the environment only what is no setting of ours."""
    return escalate(
        Reason.POLICY,
        country=case.facts["country"].value,
        quantity=sum(leg.quantity for leg in case.settlement.legs),
        settings=sorted(name for name in os.environ if name.startswith("COUNTERSIGN_")),
        path=bool(os.environ.get("PATH")),
    )


class _Answers:
    """Returns one thing of a list, by the name in its settings."""

    def __init__(self, what: str) -> None:
        self.what = what

    def __call__(self, case: Case) -> Any:  # noqa: ANN401 - that is the point.
        deep: Any = []
        for _ in range(2000):
            deep = [deep]
        answers: dict[str, Any] = {
            "a string": "approve",
            "nothing": None,
            "true": True,
            "the case": case,
            "an outcome of ours": Vote(outcome=VoteOutcome.TIMEOUT, reason=Reason.POLICY),
            "an unknown outcome": Vote(outcome="fine", reason=Reason.POLICY),  # type: ignore[arg-type]
            "an unhashable outcome": Vote(outcome=[], reason=Reason.POLICY),  # type: ignore[arg-type]
            "an unknown reason": Vote(outcome=VoteOutcome.APPROVE, reason="mine.own"),  # type: ignore[arg-type]
            "a reason of ours": escalate(Reason.HANDLER_TIMEOUT),
            "a long note": approve(note="x" * 2001),
            "a note that is none": approve(note=7),  # type: ignore[arg-type]
            "10 MB of evidence": approve(blob="x" * 10_000_000),
            "65 KiB of evidence": approve(blob="x" * 65 * 1024),
            "evidence that is a list": Vote(
                outcome=VoteOutcome.APPROVE,
                reason=Reason.POLICY,
                evidence=[1],  # type: ignore[arg-type]
            ),
            "a set": approve(names={"a"}),
            "bytes": approve(raw=b"x"),
            "an object": approve(what=socket),
            "a number as key": approve(counts={1: "one"}),
            "not a number": approve(score=float("nan")),
            "infinity": approve(score=float("inf")),
            "deep evidence": approve(deep=deep),
            "NUL": approve(text="a\0b"),
            "half a character": approve(text="\ud800"),
            "a huge number": approve(number=10**5000),
            "later, but what": TryLater,
        }
        return answers[self.what]


answers = handler(name="answers", version="1")(_Answers)


@handler(name="tells", version="1")
def tells(_case: Case) -> Vote:
    """Gives evidence of every kind that is allowed."""
    return approve(
        note="Ünïcödé",
        text="a \\u0000 that is none",
        yes=True,
        nothing=None,
        score=0.5,
        wei=10**21,
        whole=7,
        amount=Decimal("1.50"),
        at=_EPOCH,
        why=Reason.POLICY,
        nested={"list": [1, (2, 3)]},
        facts=Facts().to_plain(),
    )


_EPOCH = date(1970, 1, 1)

COUNTRY = Facts({"country": Fact(value="PT", source="kyc", at=datetime(2026, 1, 1, tzinfo=UTC))})

function = len
"""Callable, and no handler."""

elsewhere = handler(name="somewhere_else", version="1")(lambda _case: approve())
"""Has another name than the one under which it is found."""

made_of_nothing = handler(name="made_of_nothing", version="1")(type("Nothing", (), {}))
"""A class whose instances can't be called."""
