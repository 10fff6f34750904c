"""A settlement's way through its states: screening, pauses, rechecks, deposits and its deadline.

Everything is driven by the event loop's timers, one or two a settlement, so that waiting ones cost nothing.
"""

import asyncio
from collections.abc import Callable

from countersign.sandbox.announcements import Announcer
from countersign.sandbox.clock import Clock, true_now
from countersign.sandbox.faults import Switchboard
from countersign.sandbox.options import Options
from countersign.sandbox.settlements import Flag, Settlement

ENGINE = "system:engine"
"""Who triggers what nobody else does (keystone-api.md 3.3)."""


class Lifecycle:
    """Moves settlements along. All its methods belong to the event loop's thread."""

    def __init__(self, options: Options, announcer: Announcer, board: Switchboard, clock: Clock) -> None:
        self._options = options
        self._announcer = announcer
        self._board = board
        self._clock = clock
        self.moving = 0
        """Settlements whose next step is due by itself."""

    def start(self, settlement: Settlement) -> None:
        """Begin: instructed now, screened next, timed out at its deadline whatever happens."""
        loop = asyncio.get_running_loop()
        life = (settlement.timeout_at - self._clock.now()).total_seconds()
        settlement.timeout_timer = loop.call_later(max(0, life), self.expire, settlement)
        self._move(settlement, "INSTRUCTED")
        if self._board.now.screening_state == "INSTRUCTED":
            self._screen(settlement)
        else:
            self._next(settlement, self._options.step_seconds, self._check)

    def approve(self, settlement: Settlement, by: str, payload: dict[str, object] | None) -> None:
        """Let a paused settlement proceed from where it is."""
        if settlement.state in {"INSTRUCTED", "COMPLIANCE_CHECKING"}:
            self._announcer.screened(settlement, "cleared")
            self._move(settlement, "COMPLIANCE_CLEARED", by, payload)
        else:
            settlement.record(settlement.state, by, payload, self._clock.now())
        self._go_on(settlement)

    def reject(self, settlement: Settlement, by: str, payload: dict[str, object] | None) -> None:
        """Roll a paused settlement back."""
        self._move(settlement, "ROLLED_BACK", by, payload)

    def later(self, settlement: Settlement, step: Callable[[], None]) -> None:
        """Do something to the settlement one step from now, unless its deadline comes first."""
        self._next(settlement, self._options.step_seconds, lambda _: step())

    def expire(self, settlement: Settlement) -> None:
        """Time out, whatever the settlement waits for. An ended one stays as it is."""
        if settlement.ended:
            return
        if (flag := settlement.waiting) is not None:
            flag.ended_at, flag.ended_by = true_now(), "timeout"
        self._move(settlement, self._board.now.timeout_state)

    def recheck(self, settlement: Settlement, likeness: str) -> None:
        """Flag a settlement again: back in COMPLIANCE_CHECKING, or where it is, as the switch says."""
        self._stop_step(settlement)
        if self._board.now.recheck_pause == "return" and settlement.state != "COMPLIANCE_CHECKING":
            self._move(settlement, "COMPLIANCE_CHECKING")
        self._pause(settlement, "flagged")
        self._announcer.rechecked(settlement, likeness, "flagged")

    def _check(self, settlement: Settlement) -> None:
        self._move(settlement, "COMPLIANCE_CHECKING")
        self._screen(settlement)

    def _screen(self, settlement: Settlement) -> None:
        if settlement.outcome == "stuck":
            return
        jitter = settlement.stream.uniform(0.75, 1.25)
        self._next(settlement, self._options.screening_seconds * jitter, self._screened)

    def _screened(self, settlement: Settlement) -> None:
        match settlement.outcome:
            case "flag":
                self._pause(settlement, "flagged")
                self._announcer.screened(settlement, "flagged")
            case "fail" if self._board.now.fail_effect == "review":
                self._pause(settlement, "failed")
                self._announcer.screened(settlement, "failed")
            case "fail":
                self._announcer.screened(settlement, "failed")
                self._move(settlement, "ROLLED_BACK")
            case _:
                self._announcer.screened(settlement, "cleared")
                self._move(settlement, "COMPLIANCE_CLEARED")
                self._go_on(settlement)

    def _pause(self, settlement: Settlement, kind: str) -> None:
        if self._board.now.flag_history:
            settlement.record(settlement.state, ENGINE, {"compliance": kind}, self._clock.now())
        flag = Flag(kind=kind, pause_sequence=settlement.sequence, flagged_at=true_now())
        settlement.flags.append(flag)

    def _go_on(self, settlement: Settlement) -> None:
        """Plan what follows the state that the settlement is in: a recheck, or the next state."""
        if settlement.recheck is not None and settlement.state == self._board.now.recheck_state:
            self._next(settlement, self._options.screening_seconds, self._planned_recheck)
        elif settlement.state != "AWAITING_DEPOSITS" or settlement.deposits:
            self._next(settlement, self._options.step_seconds, self._step)

    def _planned_recheck(self, settlement: Settlement) -> None:
        likeness, settlement.recheck = settlement.recheck or "different", None
        self.recheck(settlement, likeness)

    def _step(self, settlement: Settlement) -> None:
        following = settlement.flow[settlement.flow.index(settlement.state) + 1]
        if following == "AWAITING_DEPOSITS":
            settlement.deposits_open = True
        if settlement.state == "AWAITING_DEPOSITS":
            _set_legs(settlement, "deposited")
        self._move(settlement, following)
        if not settlement.ended:
            self._go_on(settlement)

    def _move(
        self,
        settlement: Settlement,
        state: str,
        by: str = ENGINE,
        payload: dict[str, object] | None = None,
    ) -> None:
        settlement.record(state, by, payload, self._clock.now())
        if settlement.ended:
            self._stop_step(settlement)
            if settlement.timeout_timer is not None:
                settlement.timeout_timer.cancel()
            _set_legs(settlement, "delivered" if state == "FINALIZED" else "returned")
        self._announcer.state_changed(settlement)

    def _next(self, settlement: Settlement, seconds: float, step: Callable[[Settlement], None]) -> None:
        self._stop_step(settlement)
        self.moving += 1
        loop = asyncio.get_running_loop()
        settlement.step_timer = loop.call_later(seconds, self._run, settlement, step)

    def _run(self, settlement: Settlement, step: Callable[[Settlement], None]) -> None:
        settlement.step_timer = None
        self.moving -= 1
        step(settlement)

    def _stop_step(self, settlement: Settlement) -> None:
        if settlement.step_timer is not None:
            settlement.step_timer.cancel()
            settlement.step_timer = None
            self.moving -= 1


def _set_legs(settlement: Settlement, status: str) -> None:
    """Leg states are undocumented; deposits that were never made are not returned."""
    for leg in settlement.legs:
        if status != "returned" or leg.status == "deposited":
            leg.status = status
