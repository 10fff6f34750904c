"""The table of answers in the documentation is the list of refusals in the code."""

import re
from pathlib import Path

from receiver.refusals import Refusal
from workers.inbox import Put

DOCUMENT = Path(__file__).parents[2] / "docs" / "receiver.md"


def test_every_reason_is_documented_with_its_status() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\d{3}) \| ", DOCUMENT.read_text(), re.MULTILINE)
    documented = {reason: int(status) for reason, status in rows}
    assert documented == {refusal.slug: refusal.status for refusal in Refusal} | {
        put.value: 202 for put in Put
    }
