"""Looking: read KeyStone to see whether a pause has ended, by whomever."""

from workers.cases import ending, find_pause
from workers.ledger.endings import Ending
from workers.ledger.record import CaseRecord
from workers.steps.desk import Desk


def look(desk: Desk, record: CaseRecord) -> None:
    """Look at a held case: end it if its pause has ended, else give it back until the next look."""
    if not has_ended(desk, record):
        look_at = desk.look_at(record.timeout_at)
        desk.postpone(record, look_at - desk.books.now(), "KeyStone still waits for a decision")


def has_ended(desk: Desk, record: CaseRecord) -> bool:
    """Read KeyStone, and end the case if its pause has ended."""
    seen = desk.read(record)
    pause = record.pause or find_pause(seen.settlement.state, seen.history)
    if pause is None:
        desk.end_as_over(record, seen)
        return True
    reading = desk.reading(pause, seen, record.timeout_at or seen.settlement.timeout_at)
    state = ending(record.decision, reading)
    if state is None:
        return False
    desk.end(record, Ending(state=state, note=f"KeyStone shows it {reading.shown}", reading=reading))
    return True
