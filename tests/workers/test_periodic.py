"""A periodic thread does its work again and again, whatever goes wrong, and ends when it is told to."""

import subprocess
import sys
import threading
from datetime import timedelta

from tests.services.waiting import eventually
from workers.parent_watch import EXIT_ORPHANED
from workers.periodic import Periodic

ORPHAN = """
import sys, threading
from workers.parent_watch import ParentWatch
ParentWatch([lambda: False]).start()
threading.Event().wait(30)
"""


def test_it_goes_on_after_a_failure_and_stops_when_told() -> None:
    calls: list[int] = []

    def work() -> None:
        calls.append(1)
        raise RuntimeError("made to fail")

    periodic = Periodic("test-work", timedelta(milliseconds=5), work)
    periodic.start()
    eventually(lambda: len(calls) >= 3)
    periodic.stop()

    assert not any(thread.name == "test-work" for thread in threading.enumerate())


def test_a_worker_whose_parents_are_gone_ends_itself() -> None:
    ended = subprocess.run([sys.executable, "-c", ORPHAN], timeout=20, check=False, capture_output=True)

    assert ended.returncode == EXIT_ORPHANED
