"""`countersign handlers list`: what a worker would run, and what would stop it."""

import json
from pathlib import Path

from tests.services.processes import COUNTERSIGN, Processes, run

EXAMPLE = Path(__file__).parents[2] / "examples" / "policy.toml"


def test_it_lists_every_handler_as_json() -> None:
    told = json.loads(run(COUNTERSIGN, "handlers", "list", "--json", "--policy", str(EXAMPLE)))

    assert told["auto_approve"] == ["dvp-bond"]
    assert told["auto_reject"] == []
    assert len(told["policy_digest"]) == 64
    assert told["total"] == 3
    big_trades, limits, wallet_list = told["items"]
    assert len(big_trades.pop("digest")) == 64
    assert big_trades == {
        "handler": "big_trades",
        "version": "1",
        "from": "module big_trades",
        "mode": "enforce",
        "required": True,
        "runs": "process",
        "facts": [],
        "budget": 5.0,
    }
    assert (limits["mode"], limits["version"], wallet_list["mode"]) == ("off", None, "off")


def test_it_lists_them_for_a_person(processes: Processes) -> None:
    listing = processes.countersign(
        "handlers", "list", environment={"COUNTERSIGN_CLIENT_SECRET": "a person has them all"}
    )

    assert listing.wait() == 0
    head, limits, wallet_list, *rest = (line.split() for line in listing.stdout.splitlines())
    assert head == ["handler", "version", "from", "mode", "required", "runs", "facts", "budget", "digest"]
    assert limits[:3] == ["limits", "1", "keystone-countersign"]
    assert limits[4:-1] == ["enforce", "yes", "inline", "-", "5", "s"]
    assert wallet_list[0] == "wallet_list"
    assert rest[0] == ["auto_approve:", "off,", "every", "case", "is", "held"]


def test_it_shows_what_a_handler_needs(processes: Processes, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from countersign import approve, handler\n"
        "@handler(name='mine', version='1', requires={'country'}, required=False)\n"
        "def mine(case):\n"
        "    return approve()\n"
    )
    policy = tmp_path / "policy.toml"
    policy.write_text('[handlers.mine]\nmodule = "mine:mine"\nmode = "shadow"\n')

    listing = processes.countersign("handlers", "list", environment={"COUNTERSIGN_POLICY_FILE": str(policy)})

    assert listing.wait() == 0
    (mine,) = [line for line in listing.stdout.splitlines() if line.startswith("mine")]
    assert mine.split()[:8] == ["mine", "1", "module", "mine", "shadow", "no", "process", "country"]


def test_what_would_stop_a_worker_is_said_in_one_message(processes: Processes, tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    for content, told in [
        ("[power]\n", "unknown key power"),
        ("[handlers.sanctions]\n", "sanctions is in the policy, but is not installed"),
    ]:
        policy.write_text(content)
        listing = processes.countersign("handlers", "list", "--policy", str(policy))
        assert listing.wait() == 2
        assert told in listing.stderr
        assert "Traceback" not in listing.stderr
