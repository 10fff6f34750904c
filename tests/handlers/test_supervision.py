"""Handlers in processes of their own: whatever one does, the case is held and the worker lives."""

import json
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
from prometheus_client import CollectorRegistry

from countersign import Reason, TryLater, Vote, VoteOutcome
from countersign.verdict import Verdict
from tests.handlers.authors import nasty as authors
from tests.handlers.cases import a_case, a_leg, a_party
from tests.handlers.conftest import AUTHORS, Bench, gone, nasty
from tests.services.waiting import eventually
from workers.handler_metrics import HandlerMetrics
from workers.judgement import RecordedVote
from workers.judging import Judging
from workers.supervision.asking import Asking
from workers.supervision.loading import LoadFailed
from workers.supervision.pool import HandlerPool, Setup, Supervisor, SupervisorClosed
from workers.supervision.process import ProcessEnded

POWERS = '[powers]\nauto_approve = ["*"]\nauto_reject = ["*"]\n'
FAILURES = {VoteOutcome.ERROR, VoteOutcome.TIMEOUT}


def vote_of(judging: Judging, handler: str) -> RecordedVote:
    judgement = judging.judge(a_case())
    assert judgement.verdict is Verdict.HOLD
    (vote,) = [vote for vote in judgement.votes if vote.handler == handler]
    return vote


def ended(registry: CollectorRegistry, handler: str, why: str) -> float:
    return (
        registry.get_sample_value(
            "countersign_handler_processes_ended_total", {"handler": handler, "why": why}
        )
        or 0
    )


@pytest.mark.parametrize(
    ("handler", "outcome", "reason"),
    [
        ("loops", VoteOutcome.TIMEOUT, Reason.HANDLER_TIMEOUT),
        ("clings", VoteOutcome.TIMEOUT, Reason.HANDLER_TIMEOUT),
        ("exits", VoteOutcome.ERROR, Reason.HANDLER_DIED),
        ("crashes", VoteOutcome.ERROR, Reason.HANDLER_DIED),
        ("leaves", VoteOutcome.ERROR, Reason.HANDLER_ERROR),
        ("raises", VoteOutcome.ERROR, Reason.HANDLER_ERROR),
        ("invents", VoteOutcome.ERROR, Reason.HANDLER_ERROR),
        ("forges", VoteOutcome.ERROR, Reason.HANDLER_INVALID),
        ("floods", VoteOutcome.ERROR, Reason.HANDLER_INVALID),
        ("closes", VoteOutcome.ERROR, Reason.HANDLER_DIED),
    ],
)
def test_a_nasty_handler_holds_the_case_and_nothing_else(
    open_bench: Bench, handler: str, outcome: VoteOutcome, reason: Reason
) -> None:
    judging = open_bench(POWERS + nasty(handler) + nasty("counts"))

    first, second = judging.judge(a_case()), judging.judge(a_case())

    for judgement in (first, second):
        votes = {vote.handler: vote for vote in judgement.votes}
        assert (votes[handler].outcome, votes[handler].reason) == (outcome, reason)
        assert votes["counts"].outcome is VoteOutcome.APPROVE
        assert judgement.verdict is Verdict.HOLD
        assert judgement.why == f"could not be checked by {handler}"
        assert authors.SECRET not in repr(judgement) + json.dumps([dict(v.evidence) for v in judgement.votes])
    assert [
        vote.evidence["seen"] for j in (first, second) for vote in j.votes if vote.handler == "counts"
    ] == [
        1,
        2,
    ]


def test_an_exception_is_told_by_its_type_and_never_by_its_text(open_bench: Bench) -> None:
    vote = vote_of(open_bench(nasty("raises")), "raises")

    assert vote.note == "the handler raised RuntimeError"
    assert vote.evidence == {"error": "RuntimeError"}


def test_a_class_that_was_named_at_run_time_is_not_told(open_bench: Bench) -> None:
    assert vote_of(open_bench(nasty("invents")), "invents").evidence == {"error": "class"}


def test_a_memory_hog_meets_its_limit_and_makes_room_for_the_next(
    open_bench: Bench, registry: CollectorRegistry
) -> None:
    vote = vote_of(open_bench(nasty("hogs"), memory_bytes=96 * 1024 * 1024), "hogs")

    assert vote.evidence == {"error": "MemoryError"}
    assert ended(registry, "hogs", "memory") == 1


def test_the_memory_limit_is_the_one_that_was_set(open_bench: Bench) -> None:
    vote = vote_of(open_bench(nasty("grabs"), memory_bytes=128 * 1024 * 1024), "grabs")

    assert 16 <= vote.evidence["mebibytes"] < 128


def test_a_handler_is_asked_once_more_when_its_process_dies(
    open_bench: Bench, tmp_path: Path, registry: CollectorRegistry
) -> None:
    judging = open_bench(POWERS + nasty("recovers", mark=str(tmp_path / "died")))

    assert judging.judge(a_case()).verdict is Verdict.APPROVE
    assert ended(registry, "recovers", "died") == 1


def test_two_deaths_are_an_error_that_says_how_it_died(open_bench: Bench) -> None:
    vote = vote_of(open_bench(nasty("exits") + nasty("crashes")), "exits")

    assert vote.evidence == {"deaths": 2, "ended_with": "exit status 3"}


def test_what_a_handler_starts_ends_with_it(open_bench: Bench, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    vote = vote_of(open_bench(nasty("multiplies", pid_file=str(pid_file))), "multiplies")

    assert vote.reason is Reason.HANDLER_TIMEOUT
    pid = int(pid_file.read_text())
    assert eventually(lambda: gone(pid), 5, "the end of the handler's own process")


def test_what_a_handler_prints_goes_nowhere(open_bench: Bench, capfd: pytest.CaptureFixture[str]) -> None:
    vote = vote_of(open_bench(nasty("prints")), "prints")

    assert (vote.outcome, vote.note) == (VoteOutcome.ABSTAIN, "read 0 characters")
    out, err = capfd.readouterr()
    assert authors.SECRET not in out + err
    assert "Jane" not in out + err


@pytest.mark.parametrize(
    "what",
    [
        "a string",
        "nothing",
        "true",
        "the case",
        "an outcome of ours",
        "an unknown outcome",
        "an unhashable outcome",
        "an unknown reason",
        "a reason of ours",
        "a long note",
        "a note that is none",
        "10 MB of evidence",
        "65 KiB of evidence",
        "evidence that is a list",
        "a set",
        "bytes",
        "an object",
        "a number as key",
        "not a number",
        "infinity",
        "deep evidence",
        "NUL",
        "half a character",
        "a huge number",
        "later, but what",
    ],
)
def test_an_answer_that_is_no_vote_is_an_error(open_bench: Bench, what: str) -> None:
    vote = vote_of(open_bench(nasty("answers", what=what)), "answers")

    assert (vote.outcome, vote.reason) == (VoteOutcome.ERROR, Reason.HANDLER_INVALID)
    assert vote.note
    assert vote.evidence == {}


def test_evidence_arrives_as_plain_json_with_every_digit(open_bench: Bench) -> None:
    vote = vote_of(open_bench(nasty("tells")), "tells")

    assert vote.note == "Ünïcödé"
    assert vote.evidence == {
        "text": "a \\u0000 that is none",
        "yes": True,
        "nothing": None,
        "score": 0.5,
        "wei": "1000000000000000000000",
        "whole": 7,
        "amount": "1.50",
        "at": "1970-01-01",
        "why": "policy.decided",
        "nested": {"list": [1, [2, 3]]},
        "facts": {},
    }


def test_the_whole_case_reaches_a_handler_and_none_of_our_settings_do(open_bench: Bench) -> None:
    judging = open_bench(nasty("looks"))
    case = a_case(legs=(a_leg("1.000000000000000001"), a_leg("2")), facts=authors.COUNTRY)

    (vote,) = judging.judge(case).votes

    assert vote.evidence == {
        "country": "PT",
        "quantity": "3.000000000000000001",
        "settings": [],
        "path": True,
    }


def test_async_handlers_run_in_one_event_loop(open_bench: Bench) -> None:
    judging = open_bench(nasty("awaits"))

    votes = [judging.judge(a_case(event=event)).votes[0] for event in ("a", "raise", "b")]

    assert [vote.outcome for vote in votes] == [
        VoteOutcome.APPROVE,
        VoteOutcome.ERROR,
        VoteOutcome.APPROVE,
    ]
    assert votes[1].evidence == {"error": "LookupError"}
    assert votes[2].evidence == {"loops": 1}


def test_a_wish_for_later_comes_back_bounded(open_bench: Bench) -> None:
    for seconds, after in [(30, 30), (0, 1), (-5, 1), (10**6, 3600)]:
        judging = open_bench(nasty("waits", seconds=seconds))
        with pytest.raises(TryLater) as later:
            judging.judge(a_case())
        assert later.value.after == timedelta(seconds=after)
        assert later.value.note == "the list is loading"
        judging.close()


def test_a_slow_handler_takes_nothing_from_the_others(open_bench: Bench, tmp_path: Path) -> None:
    go = tmp_path / "go"
    judging = open_bench(POWERS + nasty("sleeps", until=str(go)) + nasty("counts"))
    with ThreadPoolExecutor() as threads:
        slow = [threads.submit(judging.judge, a_case(event="slow")) for _ in range(3)]
        eventually(lambda: len(list(tmp_path.glob("go.*"))) == 3, 10, "three cases with the slow handler")

        quick = judging.judge(a_case())
        still_waiting = not any(case.done() for case in slow)
        go.touch()

        assert quick.verdict is Verdict.APPROVE
        assert still_waiting
        assert [case.result().verdict for case in slow] == [Verdict.APPROVE] * 3


def test_processes_are_kept_warm_and_outlive_the_thread_that_asked_first(
    open_bench: Bench, registry: CollectorRegistry
) -> None:
    judging = open_bench(nasty("counts"))
    for _ in range(5):
        thread = threading.Thread(target=judging.judge, args=(a_case(),))
        thread.start()
        thread.join()

    assert vote_of(judging, "counts").evidence["seen"] == 6
    started = registry.get_sample_value("countersign_handler_processes_started_total", {"handler": "counts"})
    assert started == 1


def test_a_process_that_died_while_idle_is_replaced_without_a_word(
    open_bench: Bench, registry: CollectorRegistry
) -> None:
    judging = open_bench(nasty("counts"))
    pid = vote_of(judging, "counts").evidence["pid"]

    psutil.Process(pid).kill()
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)  # Not before its last thread has ended.

    vote = vote_of(judging, "counts")
    assert vote.outcome is VoteOutcome.APPROVE
    assert vote.evidence["pid"] != pid
    assert ended(registry, "counts", "died") == 0


def test_closing_ends_every_process(open_bench: Bench) -> None:
    judging = open_bench(nasty("counts"))
    pid = vote_of(judging, "counts").evidence["pid"]

    judging.close()

    assert not psutil.pid_exists(pid)


def test_a_process_starts_afresh_after_a_thousand_cases(
    open_bench: Bench, registry: CollectorRegistry
) -> None:
    judging = open_bench(nasty("counts"))

    seen = [judging.judge(a_case()).votes[0].evidence["seen"] for _ in range(1001)]

    assert seen == [*range(1, 1001), 1]
    assert ended(registry, "counts", "retired") == 1


def test_a_worker_that_can_start_no_process_holds(
    open_bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    judging = open_bench(nasty("exits"))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nothing"))

    vote = vote_of(judging, "exits")

    assert vote.evidence == {"deaths": 2, "ended_with": "a failing start or pipe (FileNotFoundError)"}


def test_a_start_that_takes_too_long_is_a_death(tmp_path: Path, registry: CollectorRegistry) -> None:
    (tmp_path / "mine.py").write_text(
        "import os, pathlib, threading\n"
        "from countersign import handler\n"
        "mark = pathlib.Path(__file__).with_name('mark')\n"
        "if mark.exists():\n"
        "    threading.Event().wait()\n"
        "@handler(name='mine', version='1')\n"
        "def mine(case):\n"
        "    mark.touch()\n"
        "    os._exit(1)\n"
    )
    supervisor = Supervisor(os.environ, HandlerMetrics(registry))
    setup = Setup(target="mine:mine", settings={}, search=(str(tmp_path),))
    pool = HandlerPool("mine", setup, supervisor, start_budget=timedelta(seconds=2))
    pool.introduce()

    with Asking(a_case()) as asking:
        asking.put(pool, timedelta(seconds=20))
        ((_, answer),) = asking.answers()

    assert isinstance(answer, Vote)
    assert answer.evidence == {"deaths": 2, "ended_with": "a start that took too long"}
    with pytest.raises(LoadFailed, match="not ready within 2 s"):
        pool.introduce()
    supervisor.close()


def test_a_process_too_many_is_ended_when_it_is_idle_for_long(registry: CollectorRegistry) -> None:
    supervisor = Supervisor(os.environ, HandlerMetrics(registry))
    setup = Setup(target="nasty:counts", settings={}, search=(str(AUTHORS),))
    pool = HandlerPool("counts", setup, supervisor, idle_limit=timedelta(0))
    first, second = pool.take(), pool.take()

    pool.give_back(first)
    pool.give_back(second)

    assert gone(first.pid)
    assert not gone(second.pid)
    pool.close()
    third = pool.take()
    pool.give_back(third)
    assert gone(third.pid)
    supervisor.close()


def test_nobody_is_left_with_a_case_that_was_interrupted(
    open_bench: Bench, registry: CollectorRegistry, tmp_path: Path
) -> None:
    judging = open_bench(nasty("sleeps", until=str(tmp_path / "go")))
    (sleeps,) = judging.handlers
    assert sleeps.pool is not None

    def interrupted(pool: HandlerPool) -> None:
        with Asking(a_case(event="slow")) as asking:
            asking.put(pool, timedelta(seconds=20))
            eventually(lambda: list(tmp_path.glob("go.*")), 10, "the handler at work")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted(sleeps.pool)

    assert ended(registry, "sleeps", "abandoned") == 1


def test_a_process_that_is_gone_can_be_sent_nothing(registry: CollectorRegistry) -> None:
    supervisor = Supervisor(os.environ, HandlerMetrics(registry))
    process = supervisor.start()
    psutil.Process(process.pid).kill()
    eventually(lambda: gone(process.pid), 5, "its end")

    with pytest.raises(ProcessEnded):
        process.send(b"{}")
    assert process.autopsy() == "signal 9"
    supervisor.close()


def test_a_closed_supervisor_starts_nothing(registry: CollectorRegistry) -> None:
    supervisor = Supervisor(os.environ, HandlerMetrics(registry))
    supervisor.close()

    with pytest.raises(SupervisorClosed):
        supervisor.start()


def test_parties_and_legs_are_there_for_a_large_case(open_bench: Bench) -> None:
    """A request that is larger than a pipe holds is sent in pieces."""
    judging = open_bench(nasty("counts"))
    parties = tuple(a_party(role=f"role {number}") for number in range(2000))

    (vote,) = judging.judge(a_case(parties=parties)).votes

    assert vote.outcome is VoteOutcome.APPROVE
