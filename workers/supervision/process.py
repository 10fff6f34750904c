"""The worker's hold on one handler process: start it, talk to it without ever waiting for it, end it."""

import contextlib
import math
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping

from workers.supervision.frames import Assembly, framed

_PIECE_BYTES = 64 * 1024
_LAST_BREATH_SECONDS = 0.5

_OURS = ("COUNTERSIGN_", "PROMETHEUS_MULTIPROC_DIR")


class ProcessEnded(Exception):
    """The handler's process is gone, or no longer listens."""


class HandlerProcess:
    """One process. `requests_fd` and `answers_fd` are for whoever waits for several processes at once."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        requests_end, self.requests_fd = os.pipe()
        self.answers_fd, answers_end = os.pipe()
        self._is_closed = False
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and our own module.
                [
                    sys.executable,
                    "-P",  # What lies in the working directory is not a module.
                    "-m",
                    "workers.supervision.child",
                    *(str(number) for number in (requests_end, answers_end, os.getpid())),
                ],
                env=environment,
                pass_fds=(requests_end, answers_end),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except BaseException:
            self._close_pipes()
            raise
        finally:
            os.close(requests_end)
            os.close(answers_end)
        os.set_blocking(self.requests_fd, False)
        os.set_blocking(self.answers_fd, False)
        self._unsent = memoryview(b"")
        self._assembly = Assembly()
        self.is_ready = False
        self.asked = 0
        self.idle_since = 0.0

    @property
    def pid(self) -> int:
        """The process id, which is the id of its session and process group too."""
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        """Whether it is known to have ended by itself."""
        return self._process.poll() is not None

    @property
    def is_sending(self) -> bool:
        """Whether part of a frame still waits for room in the pipe."""
        return bool(self._unsent)

    def send(self, body: bytes) -> None:
        """Send one frame; what finds no room in the pipe goes with the next `exchange`.

        Raises:
            ProcessEnded: Nobody listens any more.

        """
        self._unsent = memoryview(framed(body))
        self._send()

    def exchange(self) -> bytes | None:
        """Send and take in what goes without waiting; return the next frame if it is whole.

        Raises:
            ProcessEnded: The process ended before it had sent a whole frame.
            FrameTooLong: It announces more than it may send.

        """
        self._send()
        while (body := self._assembly.take()) is None:
            try:
                piece = os.read(self.answers_fd, _PIECE_BYTES)
            except BlockingIOError:
                return None
            if not piece:
                raise ProcessEnded("it closed its end of the pipe")
            self._assembly.add(piece)
        return body

    def end(self) -> None:
        """End it now, with every process that it has started."""
        self._kill()
        self._process.wait()
        self._close_pipes()

    def autopsy(self) -> str:
        """End what is left of a process that ended by itself, and say with what it ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_LAST_BREATH_SECONDS)
        if self._process.returncode is None:
            self.end()
            return "its pipe closed"
        self.end()
        code = self._process.returncode
        return f"exit status {code}" if code >= 0 else f"signal {-code}"

    def _send(self) -> None:
        try:
            while self._unsent:
                self._unsent = self._unsent[os.write(self.requests_fd, self._unsent) :]
        except BlockingIOError:
            return
        except BrokenPipeError:
            raise ProcessEnded("it no longer reads") from None

    def _kill(self) -> None:
        # macOS says "not permitted" of a group whose processes have all ended.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def _close_pipes(self) -> None:
        if not self._is_closed:  # A number that was closed may already be somebody else's.
            self._is_closed = True
            os.close(self.requests_fd)
            os.close(self.answers_fd)


def wait_for(processes: Iterable[HandlerProcess], seconds: float) -> None:
    """Wait until one of these processes can be talked to, or for this long."""
    poller = select.poll()
    for process in processes:
        poller.register(process.answers_fd, select.POLLIN)
        if process.is_sending:
            poller.register(process.requests_fd, select.POLLOUT)
    poller.poll(math.ceil(max(seconds, 0) * 1000))


def environment_for_handlers(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what a handler's process may see of our environment: no setting of ours, and so no secret."""
    return {name: value for name, value in environ.items() if not name.startswith(_OURS)}
