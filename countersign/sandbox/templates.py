"""The settlement templates and their state machines (keystone-api.md 3.4)."""

from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

from countersign.sandbox.clock import Clock
from countersign.sandbox.dice import Dice, new_id
from countersign.sandbox.refusal import Refused

TERMINAL = frozenset({"FINALIZED", "ROLLED_BACK", "TIMED_OUT"})
"""States that nothing leaves."""

FLOW = (
    "INSTRUCTED",
    "COMPLIANCE_CHECKING",
    "COMPLIANCE_CLEARED",
    "AWAITING_DEPOSITS",
    "EXECUTING_SWAP",
    "FINALIZED",
)
"""The way of a settlement that nothing stops, as the newer docs have it."""

OLD_FLOW = (*FLOW[:3], "REGISTERING_ESCROW", *FLOW[3:5], "SETTLED", "FINALIZED")
"""The same, as the older docs have it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A global, KeyStone-owned workflow. Only its names are in it; `config_of` writes the workflow out."""

    id: str
    slug: str
    name: str
    description: str
    category: str | None
    """The `settlement_category` of its settlements."""
    roles: tuple[str, str]
    """Who delivers the asset, and who pays."""
    created_at: datetime
    version: int = 1


class Templates:
    """All of them, in the order in which the API lists them."""

    def __init__(self, dice: Dice, clock: Clock) -> None:
        stream = dice.stream("templates")
        now = clock.now()
        self.all = (
            Template(
                id=new_id(stream),
                slug="dvp-bond",
                name="Bond DvP",
                description="A bond against money, both at once.",
                category=None,
                roles=("seller", "buyer"),
                created_at=now,
            ),
            Template(
                id=new_id(stream),
                slug="repo-open",
                name="Repo opening",
                description="The opening of a repurchase agreement.",
                category="repo_open",
                roles=("seller", "buyer"),
                created_at=now,
            ),
        )

    def find(self, id_or_slug: str) -> Template:
        """Return the template of this id or slug.

        Raises:
            Refused: 404 where there is none.

        """
        for template in self.all:
            if id_or_slug in {template.id, template.slug}:
                return template
        raise Refused(404, "Settlement template not found")


def config_of(template: Template, *, old: bool) -> dict[str, Any]:
    """Write out the workflow of a template, in the newer or the older docs' words."""
    flow = OLD_FLOW if old else FLOW
    transitions: dict[str, list[str]] = {state: [] for state in (*flow, "ROLLED_BACK", "TIMED_OUT")}
    for state, following in pairwise(flow):
        transitions[state] = [following, "ROLLED_BACK", "TIMED_OUT"]
    for rechecked in ("COMPLIANCE_CLEARED", "AWAITING_DEPOSITS", "EXECUTING_SWAP"):
        transitions[rechecked].append("COMPLIANCE_CHECKING")
    return {
        "states": list(transitions),
        "initial_state": "INSTRUCTED",
        "terminal_states": ["FINALIZED", "ROLLED_BACK", "TIMED_OUT"],
        "failure_states": ["ROLLED_BACK", "TIMED_OUT"],
        "transitions": {
            state: list(nexts) if old else {"allowed_next": nexts} for state, nexts in transitions.items()
        },
        "compliance": {
            "recheck_at_states": ["AWAITING_DEPOSITS"],
            "entity_providers": ["lseg_worldcheck"],
            "wallet_providers": ["cipherowl"],
        },
        "required_roles": list(template.roles),
        "actions": {
            "COMPLIANCE_CHECKING": _action("compliance_check", "keystone", "manual"),
            "AWAITING_DEPOSITS": _action("monitor_deposits", "escrow", "poll"),
            "EXECUTING_SWAP": _action("execute_escrow", "escrow", "poll"),
        },
    }


def _action(kind: str, provider: str, resolution: str) -> dict[str, Any]:
    return {
        "type": kind,
        "provider": provider,
        "resolution": resolution,
        "timeout_seconds": 300,
        "params": {},
    }
