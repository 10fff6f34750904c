"""What is told by webhook when a settlement changes: event names and bodies (keystone-api.md 2.3, 2.7)."""

from datetime import datetime, timedelta
from typing import Any, Protocol

import msgspec

from countersign.sandbox.clock import Clock, written
from countersign.sandbox.faults import Switchboard
from countersign.sandbox.settlements import Settlement
from countersign.sandbox.tenants import Environment

_NAME = {
    "settlement": "settlement.compliance.{}",
    "short": "compliance.{}",
    "underscore": "settlement.compliance_{}",
}


class Post(Protocol):
    """Takes a body to every endpoint of an environment that asked for this event."""

    def post(self, event: str, body: bytes, environment: Environment, settlement_id: str | None) -> None:
        """Start sending; it returns at once."""


class Announcer:
    """Writes the bodies and hands them to the post."""

    def __init__(self, post: Post, board: Switchboard, clock: Clock) -> None:
        self._post = post
        self._board = board
        self._clock = clock

    def state_changed(self, settlement: Settlement) -> None:
        """Tell every environment with a party in it that the state is new."""
        self._tell(settlement, f"settlement.state.{settlement.state.lower()}", self._data(settlement))

    def screened(self, settlement: Settlement, result: str) -> None:
        """Tell a result of screening: `cleared`, `failed` or `flagged`."""
        name = _NAME[self._board.now.flag_name].format(result)
        data = self._data(settlement)
        if result == "cleared":
            self._tell(settlement, name, data)
            return
        data = self._flag_data(data, result)
        if settlement.first_flag is None:
            settlement.first_flag = (name, data)
        if not settlement.silent:
            self._tell(settlement, name, data)

    def rechecked(self, settlement: Settlement, likeness: str, result: str) -> None:
        """Tell of a later flag: in the `same` bytes as the first, or `different` by its timestamp only."""
        if settlement.first_flag is None:
            self.screened(settlement, result)
            return
        name, data = settlement.first_flag
        if likeness == "different" and "timestamp" in data:
            data = {**data, "timestamp": self._later_than(data["timestamp"])}
        if not settlement.silent:
            self._tell(settlement, name, data)

    def _tell(self, settlement: Settlement, event: str, data: dict[str, Any]) -> None:
        body = msgspec.json.encode({"event": event, "data": data})
        for environment in settlement.environments:
            self._post.post(event, body, environment, settlement.id)

    def _data(self, settlement: Settlement) -> dict[str, Any]:
        newest = settlement.history[-1]
        data = {
            "settlement_id": settlement.id,
            "state": settlement.state,
            "previous_state": newest.from_state,
            "settlement_type": settlement.settlement_type,
            "timestamp": self._written(self._clock.now()),
        }
        if newest.from_state is None:
            del data["previous_state"]
        return data

    def _flag_data(self, data: dict[str, Any], result: str) -> dict[str, Any]:
        match self._board.now.flag_payload:
            case "minimal":
                return {"settlement_id": data["settlement_id"]}
            case "extra":
                check = {
                    "provider": "lseg_worldcheck",
                    "reference": "WC-0001",
                    "party_role": "seller",
                    "score": 0.87,
                }
                return {**data, "compliance": {"result": result, "checks": [check]}, "severity": "review"}
            case _:
                return data

    def _written(self, moment: datetime) -> str:
        fraction = self._board.now.webhook_timestamp == "fraction"
        return written(moment, timespec="microseconds" if fraction else "seconds")

    def _later_than(self, timestamp: str) -> str:
        now = self._written(self._clock.now())
        if now != timestamp:
            return now
        return self._written(datetime.fromisoformat(timestamp) + timedelta(seconds=1))
