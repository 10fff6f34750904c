"""How webhook secrets are written in the settings and in their file."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from countersign.keystone.signature import WebhookSecret
from receiver.secret_lines import SecretEntryInvalid, parsed_secrets

UNTIL = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def parsed(*entries: str) -> dict[str, tuple[WebhookSecret, ...]]:
    return dict(parsed_secrets(SecretStr(entry) for entry in entries))


def test_each_form_is_understood() -> None:
    assert parsed(
        "whsec_new",
        "whsec_old until 2026-01-02T03:04:05Z",
        "@environment:whsec_other",
        "@environment: whsec_older   until 2026-01-02T05:04:05+02:00 ",
    ) == {
        "keystone": (WebhookSecret.of("whsec_new"), WebhookSecret.of("whsec_old", UNTIL)),
        "environment": (WebhookSecret.of("whsec_other"), WebhookSecret.of("whsec_older", UNTIL)),
    }


@given(st.text(alphabet=st.characters(exclude_categories=["Cs", "Z", "C"]), min_size=1))
def test_a_secret_is_taken_as_it_stands(secret: str) -> None:
    assert parsed(f"@keystone:{secret}") == {"keystone": (WebhookSecret.of(secret),)}
    if not secret.startswith("@"):
        assert parsed(secret) == {"keystone": (WebhookSecret.of(secret),)}


@pytest.mark.parametrize(
    "entry",
    [
        "@:secret",
        "@Upper:secret",
        "@white space:secret",
        "@environment:",
        "@secret",
        "secret until tomorrow",
        "secret until 2026-01-02T03:04:05",
    ],
)
def test_what_cannot_be_read_is_named_by_its_number_and_not_shown(entry: str) -> None:
    with pytest.raises(SecretEntryInvalid, match="entry 2") as refused:
        parsed("fine", entry)
    assert "secret" not in str(refused.value).removesuffix(
        "a webhook secret is empty: anyone could sign with it"
    )
