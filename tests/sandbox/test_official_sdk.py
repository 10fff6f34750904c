"""The platform's own SDK works against the sandbox unchanged: that is how we know that it is faithful."""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from keystoneos import exceptions, resources
from keystoneos.client import KeystoneSyncClient
from keystoneos.types.environments import EnvironmentCreate, EnvironmentUpdate
from keystoneos.types.settlements import (
    ComplianceDecisionRequest,
    SettlementCreate,
    SettlementLegInput,
    SettlementPartyInput,
)
from keystoneos.types.webhooks import WebhookEndpointCreate, WebhookEndpointUpdate
from keystoneos.utils.retry import RetryConfig

from tests.sandbox.catcher import SIGNATURE, Catcher
from tests.services.sandbox import SandboxProcess

NOT_IN_THE_SANDBOX = {"InstructionsResource"}


@contextmanager
def sdk_of(
    sandbox: SandboxProcess,
    client_id: str = SandboxProcess.client_id,
    client_secret: str = SandboxProcess.client_secret,
) -> Iterator[KeystoneSyncClient]:
    with KeystoneSyncClient(
        client_id=client_id,
        client_secret=client_secret,
        base_url=sandbox.url,
        auth_domain=sandbox.url,
        retry=RetryConfig(max_retries=0),
    ) as client:
        yield client


@pytest.fixture
def sdk(sandbox: SandboxProcess) -> Iterator[KeystoneSyncClient]:
    with sdk_of(sandbox) as client:
        yield client


def creation(key: str) -> SettlementCreate:
    return SettlementCreate(
        idempotency_key=key,
        template_slug="dvp-bond",
        external_reference="T-1",
        parties=[
            SettlementPartyInput(
                role=role,
                external_reference="P-1",
                name=f"{role} Ltd",
                wallet_address=f"0x{'1' * 36}{end}",
            )
            for role, end in (("seller", "f1a6"), ("buyer", "0001"))
        ],
        legs=[
            SettlementLegInput(
                leg_type="asset_delivery",
                instrument_id="XS0000000001",
                quantity=Decimal("10.000001"),
                direction="deliver",
                party_role="seller",
            )
        ],
        timeout_at=datetime.now(UTC) + timedelta(hours=1),
    )


class TestSettlements:
    def test_create_get_list_and_events(self, sandbox: SandboxProcess, sdk: KeystoneSyncClient) -> None:
        made = sdk.settlements.create(creation("key-1"))
        sandbox.wait_until_paused(str(made.id))

        assert sdk.settlements.create(creation("key-1")).id == made.id
        assert sdk.settlements.get(made.id).legs[0].quantity == Decimal("10.000001")
        listed = sdk.settlements.list(state="COMPLIANCE_CHECKING", limit=10)
        assert [each.id for each in listed.items] == [made.id]
        assert (listed.total, listed.has_more) == (1, False)
        events = sdk.settlements.get_events(made.id)
        assert [(each.sequence, each.from_state, each.to_state) for each in events.items] == [
            (1, None, "INSTRUCTED"),
            (2, "INSTRUCTED", "COMPLIANCE_CHECKING"),
        ]

    def test_submit_compliance_decision(self, sandbox: SandboxProcess, sdk: KeystoneSyncClient) -> None:
        settlement_id = sandbox.flagged()
        decided = sdk.settlements.submit_compliance_decision(
            settlement_id, ComplianceDecisionRequest(decision="reject")
        )
        assert decided.state == "ROLLED_BACK"

    def test_related(self, sandbox: SandboxProcess, sdk: KeystoneSyncClient) -> None:
        opening = sandbox.make("flag", template="repo-open")[0]
        assert str(sdk.settlements.get_related(opening["id"]).opening.id) == opening["id"]
        trade = sandbox.make("flag", template="dvp-bond")[0]
        assert sdk.settlements.get_related(trade["id"]).opening is None

    def test_a_settlement_with_deposit_secrets_is_still_readable(
        self, sandbox: SandboxProcess, sdk: KeystoneSyncClient
    ) -> None:
        made = sandbox.make("pass")[0]
        sandbox.wait_for_state(made["id"], "FINALIZED")
        assert sdk.settlements.get(made["id"]).state == "FINALIZED"


class TestCompliance:
    def test_approve(self, sandbox: SandboxProcess, sdk: KeystoneSyncClient) -> None:
        assert sdk.compliance.approve(sandbox.flagged()).state == "COMPLIANCE_CLEARED"

    def test_reject(self, sandbox: SandboxProcess, sdk: KeystoneSyncClient) -> None:
        assert sdk.compliance.reject(sandbox.flagged()).state == "ROLLED_BACK"


class TestTemplates:
    def test_list_and_get(self, sdk: KeystoneSyncClient) -> None:
        listed = sdk.templates.list()
        assert {each.slug for each in listed.items} == {"dvp-bond", "repo-open"}
        template = sdk.templates.get(listed.items[0].id)
        assert template.config.transitions["COMPLIANCE_CHECKING"].allowed_next[0] == "COMPLIANCE_CLEARED"


class TestWebhooks:
    def test_the_whole_life_of_an_endpoint(self, sdk: KeystoneSyncClient, catcher: Catcher) -> None:
        created = sdk.webhooks.create(WebhookEndpointCreate(url=catcher.url, events=["settlement.*"]))
        assert sdk.webhooks.get(created.id).events == ["settlement.*"]
        assert not hasattr(sdk.webhooks.list().items[0], "secret")

        changed = sdk.webhooks.update(created.id, WebhookEndpointUpdate(description="ours", events=["*"]))
        assert (changed.description, changed.events, changed.is_active) == ("ours", ["*"], True)

        tested = sdk.webhooks.test(created.id)
        assert (tested.success, tested.status_code, tested.error) == (True, 202, None)
        ping = catcher.caught[0]
        assert ping.event == "test.ping"
        assert sdk.webhooks.verify_signature(ping.body, ping.signatures[0], created.secret)

        rotated = sdk.webhooks.rotate_secret(created.id)
        assert rotated.new_secret != created.secret
        assert rotated.previous_secret_valid_until > datetime.now(UTC) + timedelta(hours=23)

        logged = sdk.webhooks.list_deliveries(created.id)
        assert [(each.event, each.response_status, each.success) for each in logged.items] == [
            ("test.ping", 202, True)
        ]

        sdk.webhooks.delete(created.id)
        assert sdk.webhooks.list().total == 0

    def test_settlement_webhooks_verify(
        self, sandbox: SandboxProcess, sdk: KeystoneSyncClient, catcher: Catcher
    ) -> None:
        created = sdk.webhooks.create(WebhookEndpointCreate(url=catcher.url, secret="whsec_of-our-own"))
        assert created.secret == "whsec_of-our-own"
        sandbox.make("pass")
        sandbox.wait_until_idle()
        assert len(catcher.caught) == 7
        for caught in catcher.caught:
            assert sdk.webhooks.verify_signature(caught.body, caught.signatures[0], created.secret), SIGNATURE


class TestEnvironments:
    def test_create_get_list_update_deactivate(self, sdk: KeystoneSyncClient) -> None:
        made = sdk.environments.create(
            EnvironmentCreate(
                name="Second", slug="second", auth0_client_id="second", default_timeout_seconds=60
            )
        )
        assert sdk.environments.get(made.id).default_timeout_seconds == 60
        assert [each.slug for each in sdk.environments.list().items] == ["development", "second"]
        assert sdk.environments.update(made.id, EnvironmentUpdate(rate_limit_rpm=7)).rate_limit_rpm == 7
        assert not sdk.environments.deactivate(made.id).is_active


class TestErrors:
    """Each of the SDK's typed errors, provoked as a client would meet it."""

    def test_authentication_by_a_wrong_secret(self, sandbox: SandboxProcess) -> None:
        with sdk_of(sandbox, client_secret="wrong") as sdk, pytest.raises(exceptions.AuthenticationError):
            sdk.settlements.list()

    def test_authentication_by_a_revoked_token(
        self, sandbox: SandboxProcess, sdk: KeystoneSyncClient
    ) -> None:
        sdk.settlements.list()
        sandbox.control.post("/tokens/revoke")
        with pytest.raises(exceptions.AuthenticationError) as caught:
            sdk.settlements.list()
        assert caught.value.detail == "Invalid token"

    def test_forbidden(self, sandbox: SandboxProcess) -> None:
        sandbox.add_client("reader", "settlements:read")
        with sdk_of(sandbox, "reader", "reader") as sdk, pytest.raises(exceptions.ForbiddenError):
            sdk.compliance.approve(sandbox.flagged())

    def test_not_found(self, sdk: KeystoneSyncClient) -> None:
        with pytest.raises(exceptions.NotFoundError) as caught:
            sdk.settlements.get(uuid4())
        assert caught.value.detail == "Settlement not found"

    def test_conflict(self, sandbox: SandboxProcess, sdk: KeystoneSyncClient) -> None:
        settlement_id = sandbox.flagged()
        sdk.compliance.reject(settlement_id)
        with pytest.raises(exceptions.ConflictError) as caught:
            sdk.compliance.reject(settlement_id)
        assert caught.value.detail == "Settlement is not awaiting a compliance decision"

    def test_validation_with_a_list(self, sdk: KeystoneSyncClient) -> None:
        with pytest.raises(exceptions.ValidationError) as caught:
            sdk.settlements.list(limit=201)
        assert caught.value.detail[0]["loc"] == ["query", "limit"]

    def test_validation_with_a_text(self, sdk: KeystoneSyncClient) -> None:
        body = creation("key-2")
        body.parties = body.parties[:1]
        with pytest.raises(exceptions.ValidationError) as caught:
            sdk.settlements.create(body)
        assert caught.value.detail == "Missing required role: buyer"

    def test_rate_limit(self, sandbox: SandboxProcess) -> None:
        sandbox.reset(rate_limit=1)
        with sdk_of(sandbox) as sdk:
            sdk.settlements.list()
            with pytest.raises(exceptions.RateLimitError) as caught:
                sdk.settlements.list()
        assert 0 < (caught.value.retry_after or 0) <= 60

    def test_server_error(self, sandbox: SandboxProcess, sdk: KeystoneSyncClient) -> None:
        sandbox.set(server_error={"status": 502, "count": 1})
        with pytest.raises(exceptions.ServerError) as caught:
            sdk.settlements.list()
        assert caught.value.status_code == 502

    def test_any_other_error(self, sandbox: SandboxProcess, sdk: KeystoneSyncClient) -> None:
        sandbox.set(server_error={"status": 418, "count": 1})
        with pytest.raises(exceptions.APIError) as caught:
            sdk.settlements.list()
        assert caught.value.status_code == 418


def test_every_public_method_of_the_sdk_is_called_above() -> None:
    source = inspect.getsource(inspect.getmodule(creation) or pytest)
    for name in resources.__all__:
        if name in NOT_IN_THE_SANDBOX:
            continue
        room = name.removesuffix("Resource").lower()
        for method, _ in inspect.getmembers(getattr(resources, name), inspect.isfunction):
            if not method.startswith("_"):
                assert f"sdk.{room}.{method}(" in source, f"{room}.{method} is not tested"
