"""Personal data: names and wallets leave the record before it is hashed, and stay erasable ever after.

Each value lies in a row of its own, sealed under a key of its own, which is itself sealed by `LEDGER_KEYS`.
The record keeps a salted commitment: with the salt it proves the value, without it a guess proves nothing.
"""

import hashlib
import hmac
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select

from countersign.sealing import KEY_BYTES, Sealer, derived_key
from workers.ledger.columns import new_id
from workers.ledger.tables import PERSONAL

PERSONAL_FIELDS = ("name", "wallet_address", "wallet_address_hint")
_SALT_BYTES = 16


class PersonalData:
    """Takes personal data out of settlements and puts it back in, with the ledger's keys."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._sealer = Sealer(keys)
        self._lookup_keys = [derived_key(key, "personal lookup") for key in keys]

    def seal(self, plain: bytes, belongs_to: str) -> bytes:
        """Seal something of the ledger's that may hold personal data, such as an event's body."""
        return self._sealer.seal(plain, belongs_to)

    def open(self, sealed: bytes, belongs_to: str) -> bytes:
        """Open what `seal` made."""
        return self._sealer.open(sealed, belongs_to)

    def take_out(
        self, connection: Connection, environment: str, settlement: Mapping[str, Any], at: datetime
    ) -> dict[str, Any]:
        """Return the settlement with each name and wallet replaced by a reference and its commitment."""
        values = {value for _, _, value in _personal_values(settlement)}
        references = self._references(connection, environment, values, at)
        parties = [dict(party) for party in settlement.get("parties", ())]
        for index, field, value in _personal_values(settlement):
            parties[index][field] = references[value].to_plain()
        return {**settlement, "parties": parties}

    def put_back(self, connection: Connection, settlement: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
        """Return the settlement with its names and wallets, and whether any of them has been erased."""
        erased = False
        parties = [dict(party) for party in settlement.get("parties", ())]
        for party in parties:
            for field in PERSONAL_FIELDS:
                if isinstance(party.get(field), Mapping):
                    value = self._value(connection, party[field]["personal"])
                    erased = erased or value is None
                    party[field] = value
        return {**settlement, "parties": parties}, erased

    def _value(self, connection: Connection, reference: str) -> str | None:
        row = connection.execute(select(PERSONAL).where(PERSONAL.c.id == reference)).one_or_none()
        if row is None or row.sealed_key is None or row.sealed_value is None:
            return None
        own_key = self._sealer.open(row.sealed_key, reference)
        return Sealer([own_key]).open(row.sealed_value, reference).decode()

    def _references(
        self, connection: Connection, environment: str, values: set[str], at: datetime
    ) -> dict[str, "_Reference"]:
        lookups = {lookup: value for value in values for lookup in self._lookups(environment, value)}
        rows = connection.execute(
            select(PERSONAL.c.id, PERSONAL.c.lookup, PERSONAL.c.commitment).where(
                PERSONAL.c.lookup.in_(lookups), PERSONAL.c.erased_at.is_(None)
            )
        )
        known = {lookups[row.lookup]: _Reference(row.id, row.commitment) for row in rows}
        new = {value: self._row(environment, value, at) for value in sorted(values - known.keys())}
        if new:
            connection.execute(insert(PERSONAL), list(new.values()))
        return known | {value: _Reference(row["id"], row["commitment"]) for value, row in new.items()}

    def _lookups(self, environment: str, value: str) -> Iterator[str]:
        for key in self._lookup_keys:
            yield hmac.new(key, f"{environment}\0{value}".encode(), hashlib.sha256).hexdigest()

    def _row(self, environment: str, value: str, at: datetime) -> dict[str, Any]:
        reference, salt, own_key = new_id("person"), os.urandom(_SALT_BYTES), os.urandom(KEY_BYTES)
        return {
            "id": reference,
            "environment": environment,
            "lookup": next(self._lookups(environment, value)),
            "commitment": hashlib.sha256(salt + value.encode()).hexdigest(),
            "salt": salt,
            "sealed_key": self._sealer.seal(own_key, reference),
            "sealed_value": Sealer([own_key]).seal(value.encode(), reference),
            "recorded_at": at,
        }


@dataclass(frozen=True, slots=True)
class _Reference:
    id: str
    commitment: str

    def to_plain(self) -> dict[str, str]:
        return {"personal": self.id, "commitment": self.commitment}


def _personal_values(settlement: Mapping[str, Any]) -> Iterator[tuple[int, str, str]]:
    for index, party in enumerate(settlement.get("parties", ())):
        for field in PERSONAL_FIELDS:
            if isinstance(party.get(field), str):
                yield index, field, party[field]
