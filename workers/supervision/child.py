"""The process in which one handler runs: `python -m workers.supervision.child REQUESTS ANSWERS PARENT`.

It gets a setup frame, says who the handler is, and then answers each case with one frame. Standard input,
output and error lead nowhere: what a handler prints may be personal data, and must not be mistaken for an
answer. The process ends with its worker, whatever the handler is doing.
"""

import ctypes
import json
import os
import resource
import select
import signal
import sys
import threading
from collections.abc import Awaitable, Callable
from typing import Any, BinaryIO

from countersign import Case, Vote
from workers.supervision.answers import asked, written
from workers.supervision.frames import framed, read_frame
from workers.supervision.loading import LoadFailed, described, extend_search, load

_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """Serve one handler until the worker closes its end of the pipe."""
    requests_fd, answers_fd, parent = (int(argument) for argument in arguments)
    for fd in (requests_fd, answers_fd):
        os.set_inheritable(fd, False)  # noqa: FBT003 - its only form. A handler's own processes must not hold them.
    _end_with_worker(parent, requests_fd)
    with os.fdopen(requests_fd, "rb") as requests, os.fdopen(answers_fd, "wb", buffering=0) as answers:
        _serve(requests, lambda body: _send(answers, body))


def _serve(requests: BinaryIO, send: Callable[[Any], None]) -> None:
    setup = read_frame(requests)
    if setup is None:
        return
    told = json.loads(setup)
    _limit(told["memory_bytes"])
    extend_search(told["search"])
    try:
        loaded = load(told["target"], told["settings"])
    except LoadFailed as reason:
        send({"refused": str(reason)})
        return
    send({"ready": described(loaded)})
    wait = _Waiting()
    while (request := read_frame(requests)) is not None:
        ask = json.loads(request)
        answer = asked(loaded.judge, Case.from_plain(ask["case"]), wait, catching=BaseException)
        send({"ask": ask["ask"], "answer": written(answer)})


class _Waiting:
    """Runs what async handlers return, all in one event loop, so that a client can live as long as it."""

    def __init__(self) -> None:
        self._runner: Any = None

    def __call__(self, returned: Awaitable[Vote]) -> Vote:
        import asyncio  # noqa: PLC0415 - takes longer than all else here, and most handlers are not async.

        async def awaited() -> Vote:
            return await returned

        if self._runner is None:
            self._runner = asyncio.Runner()
        vote: Vote = self._runner.run(awaited())
        return vote


def _send(answers: BinaryIO, body: Any) -> None:  # noqa: ANN401 - any JSON value.
    left = memoryview(framed(json.dumps(body).encode()))
    while left:
        left = left[answers.write(left) :]


def _limit(memory_bytes: int) -> None:
    # RLIMIT_DATA counts what the process can write to, and not the libraries and reserved ranges that
    # RLIMIT_AS counts too; but shared memory is only in the latter, so a wide limit on that closes the gap.
    _set_limit(resource.RLIMIT_DATA, memory_bytes)
    _set_limit(resource.RLIMIT_AS, 8 * memory_bytes)
    _set_limit(resource.RLIMIT_CORE, 0)  # A core file would hold names, wallets and settings.


def _set_limit(which: int, limit: int) -> None:
    _, most = resource.getrlimit(which)
    limit = limit if most == resource.RLIM_INFINITY else min(limit, most)
    resource.setrlimit(which, (limit, limit))


def _end_with_worker(parent: int, requests_fd: int) -> None:
    if sys.platform == "linux":
        # The kernel ends this process with its worker even if a handler never lets go of the interpreter.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)
    threading.Thread(target=_watch, args=(requests_fd,), name="worker-watch", daemon=True).start()


def _watch(requests_fd: int) -> None:
    watch = select.poll()
    watch.register(requests_fd, 0)  # No event but the other end's closing, which is always reported.
    watch.poll()
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main(sys.argv[1:])
