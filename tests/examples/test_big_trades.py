"""The handler of the README: it does what it says, with the policy that lies beside it."""

import os
from pathlib import Path

from prometheus_client import CollectorRegistry

from countersign.verdict import Verdict
from tests.handlers.cases import a_case, a_leg
from workers.judging import open_judging

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_the_example_decides_what_is_small_and_holds_what_is_big() -> None:
    judging = open_judging(EXAMPLES / "policy.toml", environ=os.environ, registry=CollectorRegistry())
    try:
        small = judging.judge(a_case(legs=(a_leg("1000000"),)))
        big = judging.judge(a_case(legs=(a_leg("1000000.01"),)))
        other = judging.judge(a_case(template="repo"))
    finally:
        judging.close()

    assert (small.verdict, small.why) == (Verdict.APPROVE, "approved by big_trades")
    assert (big.verdict, big.why) == (Verdict.HOLD, "a person is asked for by big_trades")
    assert big.votes[0].evidence == {"legs": ["leg-USDC"]}
    assert other.verdict is Verdict.HOLD


def test_it_is_ten_lines_of_python() -> None:
    lines = [line for line in (EXAMPLES / "big_trades.py").read_text().splitlines() if line.strip()]

    assert len(lines) <= 10
