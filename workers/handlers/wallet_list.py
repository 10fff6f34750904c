"""`wallet_list`: wallets that are denied, and wallets known to be good, each with an owner and a reason.

One denied wallet rejects, whatever else is allowed. A settlement whose wallets can't be seen, or a list with
nothing in it that counts today, proves nothing: a person looks at it. No vote ever shows a wallet.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from countersign import Case, Handler, Party, Reason, Vote, approve, escalate, handler, reject
from workers.handlers.wallet_entries import Entry, ListKind, normalised, read_entries, read_file, revision_of

_APPROVE_WHEN = ("all_allowed", "none_denied")


class WalletList:
    """Looks up every party's wallet.

    `deny` and `allow` are entries of `address`, `owner`, `reason` and, if they end, `expires`; `file` names a
    TOML or CSV file with more of them. `approve_when` says what it takes to approve: `all_allowed` (every
    party's wallet is on the allow list) or `none_denied` (no wallet is on the deny list).

    Raises:
        ValueError: A setting or an entry is wrong; every problem is in the one message, by number.

    """

    def __init__(
        self,
        deny: Sequence[Mapping[str, Any]] = (),
        allow: Sequence[Mapping[str, Any]] = (),
        file: str | None = None,
        approve_when: str = "all_allowed",
    ) -> None:
        problems: list[str] = []
        if approve_when not in _APPROVE_WHEN:
            problems.append(f"approve_when must be one of: {', '.join(_APPROVE_WHEN)}")
        entries = [
            *read_entries(ListKind.DENY, deny, problems),
            *read_entries(ListKind.ALLOW, allow, problems),
            *(read_file(file, problems) if file is not None else ()),
        ]
        if problems:
            raise ValueError("; ".join(problems))
        self._approve_when = approve_when
        self._revision = revision_of(entries)
        self._entries = {kind: _by_wallet(entries, kind) for kind in ListKind}

    def __call__(self, case: Case) -> Vote:
        """Vote on the wallets of one settlement as the lists stand when the case is judged."""
        looked_up = [self._looked_up(party, case.judged_at) for party in case.settlement.parties]
        evidence = {"parties": [each.told for each in looked_up], "list_revision": self._revision}
        if any(each.denied for each in looked_up):
            return reject(Reason.WALLET_DENIED, "a wallet is on the deny list", **evidence)
        if not looked_up or any(each.missing for each in looked_up):
            return escalate(Reason.WALLET_MISSING, "a wallet is missing", **evidence)
        if all(each.allowed for each in looked_up):
            return approve(Reason.WALLET_ALLOWED, "every wallet is on the allow list", **evidence)
        if self._approve_when == "all_allowed":
            return escalate(Reason.REVIEW_WANTED, "not every wallet is on the allow list", **evidence)
        if not self._denies_any(case.judged_at):
            return escalate(Reason.REVIEW_WANTED, "the deny list is empty, which proves nothing", **evidence)
        return approve(Reason.CHECKED_CLEAR, "no wallet is on the deny list", **evidence)

    def _looked_up(self, party: Party, at: datetime) -> "_LookedUp":
        wallet = (party.wallet_address or "").strip()
        # A hint is what the other side says of a wallet: enough to deny it, too little to allow it.
        denied = self._entry(ListKind.DENY, at, wallet, party.wallet_address_hint or "")
        return _LookedUp(
            party=party, missing=not wallet, denied=denied, allowed=self._entry(ListKind.ALLOW, at, wallet)
        )

    def _entry(self, kind: ListKind, at: datetime, *wallets: str) -> Entry | None:
        entries = self._entries[kind]
        found = (entry for wallet in wallets for entry in entries.get(normalised(wallet), ()))
        return next((entry for entry in found if entry.counts_at(at)), None)

    def _denies_any(self, at: datetime) -> bool:
        return any(
            entry.counts_at(at) for entries in self._entries[ListKind.DENY].values() for entry in entries
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _LookedUp:
    party: Party
    missing: bool
    denied: Entry | None
    allowed: Entry | None

    @property
    def told(self) -> dict[str, Any]:
        entry = self.denied or self.allowed
        nothing = "missing" if self.missing else "nothing"
        told = {
            "party": self.party.id,
            "role": self.party.role,
            "found": entry.kind.value if entry else nothing,
        }
        return {**told, **(entry.told() if entry else {})}


wallet_list: Handler = handler(name="wallet_list", version="1", inline=True)(WalletList)


def _by_wallet(entries: Sequence[Entry], kind: ListKind) -> dict[str, list[Entry]]:
    found: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.kind is kind:
            found.setdefault(entry.wallet, []).append(entry)
    return found
