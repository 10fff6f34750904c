"""The entries of a wallet list: how they are read from settings, TOML and CSV, and until when they count."""

import csv
import hashlib
import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from enum import StrEnum
from pathlib import Path
from typing import Any

_EVM = re.compile(r"0[xX][0-9a-fA-F]{40}")
_REQUIRED = ("address", "owner", "reason")
_COLUMNS = {*_REQUIRED, "expires"}


class ListKind(StrEnum):
    """Which of the two lists an entry is on."""

    DENY = "deny"
    ALLOW = "allow"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One wallet on a list. `ends` is the last moment at which it counts; None: it counts for ever."""

    kind: ListKind
    number: int
    wallet: str = field(repr=False)
    owner: str
    reason: str
    ends: datetime | None

    def counts_at(self, at: datetime) -> bool:
        """Say whether the entry is still in force at this time."""
        return self.ends is None or at <= self.ends

    def told(self) -> dict[str, Any]:
        """Say what may be shown of it: never the wallet."""
        return {"entry": self.number, "owner": self.owner, "reason": self.reason}


def normalised(wallet: str) -> str:
    """Return the form in which wallets are compared.

    EVM addresses carry their checksum in upper and lower case (EIP-55), so case says nothing there; for every
    other kind it is part of the address.
    """
    wallet = wallet.strip()
    return wallet.lower() if _EVM.fullmatch(wallet) else wallet


def read_entries(kind: ListKind, given: object, problems: list[str], called: str = "") -> list[Entry]:
    """Read the entries of one list, adding to `problems` what is wrong, by the entry's number from 1."""
    if not isinstance(given, Sequence) or isinstance(given, str):
        problems.append(f"{called}{kind} must be a list of entries")
        return []
    entries = (
        _entry(kind, number, row, problems, f"{called}{kind} entry {number}")
        for number, row in enumerate(given, 1)
    )
    return [entry for entry in entries if entry is not None]


def read_file(path: object, problems: list[str]) -> list[Entry]:
    """Read a list file: TOML with `[[deny]]` and `[[allow]]`, or CSV with a column `list`."""
    if not isinstance(path, str) or not path.endswith((".toml", ".csv")):
        problems.append("file must be the path of a .toml or .csv file")
        return []
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
        lists = _toml_lists(text) if path.endswith(".toml") else _csv_lists(text)
    except (OSError, UnicodeDecodeError) as error:
        problems.append(f"file {path} can't be read: {type(error).__name__}")
        return []
    except (ValueError, csv.Error):
        problems.append(f"file {path} is not valid {path.rpartition('.')[2].upper()}")
        return []
    unknown = sorted(str(name) for name in lists.keys() - {kind.value for kind in ListKind})
    problems += [f"file {path}: unknown list {name!r}" for name in unknown]
    return [
        entry
        for kind in ListKind
        for entry in read_entries(kind, lists.get(kind, []), problems, f"file {path}: ")
    ]


def revision_of(entries: Sequence[Entry]) -> str:
    """Name what is in the lists: the same entries in any order, from any file, have the same revision."""
    rows = sorted(
        [entry.kind, entry.wallet, entry.owner, entry.reason, entry.ends.isoformat() if entry.ends else ""]
        for entry in entries
    )
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def _toml_lists(text: str) -> Mapping[str, Any]:
    return tomllib.loads(text)


def _csv_lists(text: str) -> Mapping[str, Any]:
    lists: dict[str, list[dict[str, Any]]] = {}
    for row in csv.DictReader(text.splitlines(), strict=True):
        kind = (row.pop("list", None) or "").strip()
        # A row with more cells than the head has them under None: keep it, so that it is refused below.
        kept = {name: value for name, value in row.items() if value or name is None}
        lists.setdefault(kind, []).append(kept)
    return lists


def _entry(kind: ListKind, number: int, row: object, problems: list[str], called: str) -> Entry | None:
    if not isinstance(row, Mapping):
        problems.append(f"{called} must have address, owner and reason")
        return None
    wrong = [
        f"{called} has no {name}"
        for name in _REQUIRED
        if not isinstance(row.get(name), str) or not row[name].strip()
    ]
    wrong += [f"{called} has an unknown key" for name in row if name not in _COLUMNS]
    ends = _end(row.get("expires"), called, wrong)
    problems += wrong
    if wrong:
        return None
    return Entry(
        kind=kind,
        number=number,
        wallet=normalised(row["address"]),
        owner=row["owner"].strip(),
        reason=row["reason"].strip(),
        ends=ends,
    )


def _end(expires: object, called: str, wrong: list[str]) -> datetime | None:
    if expires is None:
        return None
    text = expires.isoformat() if isinstance(expires, date) else expires
    try:
        return _moment(text) if isinstance(text, str) else _moment("")
    except (ValueError, OverflowError):
        wrong.append(f"{called}: expires must be a day (2027-01-31) or a time with its zone")
        return None


def _moment(text: str) -> datetime:
    text = text.strip()
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):  # A day counts to its end, in UTC.
        return datetime.combine(date.fromisoformat(text), time.max, UTC)
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time without its zone")
    return moment.astimezone(UTC)
