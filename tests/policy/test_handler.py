"""What `@handler` makes of a function or a class, and which cases a handler wants."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from countersign import Case, Handler, Settlement, TryLater, Vote, VoteOutcome, abstain, approve, handler
from countersign.reasons import Reason


def case(
    event: str = "settlement.compliance.flagged",
    template_slug: str | None = None,
    template_id: str | None = None,
) -> Case:
    return Case(
        id="c-1",
        environment="test",
        event=event,
        settlement=Settlement(
            id="s-1", state="COMPLIANCE_CHECKING", template_slug=template_slug, template_id=template_id
        ),
        judged_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def made(**description: Any) -> Handler:  # noqa: ANN401 - any part of a handler's description.
    return handler(**{"name": "mine", "version": "1", **description})(lambda _: approve())


def test_a_function_is_a_handler() -> None:
    vote = made()(case())

    assert isinstance(vote, Vote)
    assert vote.outcome is VoteOutcome.APPROVE
    assert vote.reason is Reason.CHECKED_CLEAR


def test_a_class_takes_its_settings_by_name() -> None:
    class Mine:
        def __init__(self, threshold: int) -> None:
            self.threshold = threshold

        def __call__(self, case: Case) -> Vote:
            return abstain(note=f"{case.id}: {self.threshold}")

    mine = handler(name="mine", version="1")(Mine)
    vote = mine(case(), threshold=7)

    assert isinstance(vote, Vote)
    assert vote.note == "c-1: 7"
    with pytest.raises(TypeError, match="unknown"):
        mine.make({"threshold": 7, "unknown": 1})


def test_a_function_refuses_settings() -> None:
    with pytest.raises(TypeError, match="takes no settings, but the policy gives it threshold"):
        made().make({"threshold": 7})


def test_a_handler_wants_every_case_unless_it_says_otherwise() -> None:
    assert made().wants(case())
    assert made(events={"settlement.compliance.flagged"}).wants(case())
    assert not made(events={"settlement.compliance.failed"}).wants(case())


def test_a_template_is_wanted_by_slug_or_id_and_a_nameless_one_by_all() -> None:
    picky = made(templates={"dvp-bond"})

    assert picky.wants(case(template_slug="dvp-bond", template_id="t-1"))
    assert picky.wants(case(template_id="dvp-bond"))
    assert not picky.wants(case(template_slug="repo-open", template_id="t-1"))
    assert picky.wants(case())


@pytest.mark.parametrize("several", ["events", "templates", "requires"])
def test_one_string_is_not_taken_for_the_set_of_its_letters(several: str) -> None:
    with pytest.raises(TypeError, match=rf"`{several}` is one string: write it as a set"):
        made(**{several: "dvp"})


@pytest.mark.parametrize("name", ["", "Mine", "my-own", "1st", "a b", "x" * 65])
def test_a_name_must_be_fit_for_reports_and_metrics(name: str) -> None:
    with pytest.raises(ValueError, match="can't be a handler's name"):
        made(name=name)


def test_a_version_and_a_sane_budget_are_asked_for() -> None:
    with pytest.raises(ValueError, match="has no version"):
        made(version="")
    for budget in (timedelta(0), timedelta(seconds=-1), timedelta(minutes=6)):
        with pytest.raises(ValueError, match="needs a budget"):
            made(budget=budget)


def test_try_later_says_when() -> None:
    assert str(TryLater(timedelta(seconds=5))) == "try again in 5 s"
    assert str(TryLater(note="list is loading")) == "list is loading"


def test_reasons_are_grouped_by_what_stands_before_the_dot() -> None:
    assert Reason.SANCTIONS_WALLET.group == "sanctions"
    assert all(reason.group and reason.value.partition(".")[2] for reason in Reason)
