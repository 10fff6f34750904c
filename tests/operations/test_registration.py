"""Registering with a real sandbox and a real Valkey: twice is once, and a crash in between loses nothing."""

from collections.abc import Iterator

import pytest

from countersign.keystone.assembly import KeystoneAccess, keystone_client
from countersign.keystone.client import KeystoneClient
from countersign.keystone.errors import KeystoneError
from countersign.operations.registration import Outcome, Registered, RegistrationRefused, register, wanted
from countersign.operations.stored_secrets import StoredSecrets
from countersign.sealing import Sealer, decoded_key, new_key
from receiver.keyring import ALL_HAVE_READ_SECONDS
from receiver.secret_store import SECRETS_KEY
from tests.inbox.stored import Stored
from tests.services.sandbox import SandboxProcess
from tests.services.valkey import ValkeyDatabases

URL = "http://127.0.0.1:1/webhooks/keystone"


class Desk:
    """Registers as the command does, but does not wait; it notes what it was asked to wait."""

    def __init__(self, client: KeystoneClient, cache_url: str, api_url: str) -> None:
        self.client = client
        self.stored = StoredSecrets(cache_url, Sealer([decoded_key(new_key())]))
        self._api_url = api_url
        self.waited: list[float] = []

    def register(self, *events: str, elsewhere: frozenset[str] = frozenset()) -> Registered:
        asked = wanted(URL, None, events or ("*",), self._api_url)
        return register(self.client, self.stored, asked, elsewhere=elsewhere, wait=self.waited.append)


@pytest.fixture
def desk(sandbox: SandboxProcess, valkey: ValkeyDatabases) -> Iterator[Desk]:
    access = KeystoneAccess(
        api_url=sandbox.url,
        token_url=sandbox.token_url,
        audience=sandbox.audience,
        client_id=sandbox.client_id,
        client_secret=sandbox.client_secret,
    )
    with keystone_client(access) as client:
        yield Desk(client, valkey.cache_url, sandbox.url)


@pytest.fixture
def cache(valkey: ValkeyDatabases) -> Iterator[Stored]:
    with valkey.cache_client() as client:
        yield Stored(client)


def kept(cache: Stored) -> dict[bytes, bytes]:
    secrets: dict[bytes, bytes] = cache.client.hgetall(SECRETS_KEY)
    return secrets


def test_the_secret_is_stored_and_read_by_all_before_keystone_hears_of_it(
    desk: Desk, sandbox: SandboxProcess, cache: Stored
) -> None:
    def waiting(seconds: float) -> None:
        assert seconds >= ALL_HAVE_READ_SECONDS
        assert len(kept(cache)) == 1
        assert "webhook_create" not in sandbox.counts()["calls_by_route"]
        desk.waited.append(seconds)

    asked = wanted(URL, None, ("*",), sandbox.url)
    assert register(desk.client, desk.stored, asked, wait=waiting).outcome is Outcome.CREATED
    assert len(desk.waited) == 1


def test_doing_it_twice_changes_nothing(desk: Desk, cache: Stored) -> None:
    first = desk.register()
    before = kept(cache)

    again = desk.register()

    assert (first.outcome, again.outcome) == (Outcome.CREATED, Outcome.UNCHANGED)
    assert first.at_keystone.id == again.at_keystone.id
    assert kept(cache) == before
    assert len(desk.client.webhook_endpoints()) == 1


def test_other_events_are_an_update_of_the_same_endpoint(desk: Desk, cache: Stored) -> None:
    first = desk.register()
    changed = desk.register("settlement.*", "test.ping")
    assert (changed.outcome, changed.at_keystone.id) == (Outcome.UPDATED, first.at_keystone.id)
    assert set(changed.at_keystone.events) == {"settlement.*", "test.ping"}
    assert len(kept(cache)) == 1


def test_an_endpoint_that_was_switched_off_is_switched_on(desk: Desk) -> None:
    first = desk.register()
    desk.client.update_webhook_endpoint(first.at_keystone.id, is_active=False)
    again = desk.register()
    assert again.outcome is Outcome.UPDATED
    assert again.at_keystone.is_active


def test_a_crash_between_the_two_steps_is_mended_by_doing_it_again(
    desk: Desk, sandbox: SandboxProcess, cache: Stored
) -> None:
    sandbox.set(server_error={"routes": ["webhook_create"]})
    with pytest.raises(KeystoneError):
        desk.register()
    before = kept(cache)
    assert len(before) == 1

    sandbox.set(server_error=None)
    assert desk.register().outcome is Outcome.CREATED
    assert kept(cache) == before


def test_a_creation_whose_answer_was_lost_is_found(desk: Desk, sandbox: SandboxProcess) -> None:
    sandbox.set(cut_after={"routes": ["webhook_create"], "count": 1})
    assert desk.register().outcome is Outcome.CREATED
    assert len(desk.client.webhook_endpoints()) == 1


def test_events_that_keystone_did_not_take_are_told(desk: Desk, sandbox: SandboxProcess) -> None:
    """Its pages disagree on the name of the field (keystone-api.md 6.1)."""
    sandbox.set(events_field="event_types")
    with pytest.raises(RegistrationRefused, match=r"has it send \* instead of settlement"):
        desk.register("settlement.*")


def test_an_endpoint_whose_secret_nobody_here_has_is_not_taken_for_ours(desk: Desk, cache: Stored) -> None:
    theirs = desk.client.create_webhook_endpoint(url=URL, secret="whsec_theirs")

    with pytest.raises(RegistrationRefused, match=f"{theirs.id}.*COUNTERSIGN_WEBHOOK_SECRETS"):
        desk.register()

    assert kept(cache) == {}
    known = desk.register(elsewhere=frozenset({"keystone"}))
    assert (known.outcome, known.at_keystone.id) == (Outcome.UNCHANGED, theirs.id)


def test_two_endpoints_with_one_url_are_told(desk: Desk) -> None:
    for _ in range(2):
        desk.client.create_webhook_endpoint(url=URL)
    with pytest.raises(RegistrationRefused, match="2 endpoints with this URL"):
        desk.register()


PRODUCTION = "https://api.keystoneos.xyz"


@pytest.mark.parametrize(
    ("url", "endpoint", "expected"),
    [
        ("https://example.com/webhooks/keystone", None, "keystone"),
        ("https://example.com/webhooks/keystone/", None, "keystone"),
        ("https://example.com/a/webhooks/keystone/environment", None, "environment"),
        ("https://example.com/webhooks/keystone/environment", "environment", "environment"),
        ("https://example.com/elsewhere", None, "keystone"),
        ("https://example.com/elsewhere", "environment", "environment"),
    ],
)
def test_the_url_tells_which_endpoint_it_is(url: str, endpoint: str | None, expected: str) -> None:
    assert wanted(url, endpoint, ("*",), PRODUCTION).endpoint == expected


@pytest.mark.parametrize(
    ("url", "endpoint", "told"),
    [
        ("http://example.com/webhooks/keystone", None, "must begin with https://"),
        ("", None, "must be a whole one"),
        ("example.com/webhooks/keystone", None, "must be a whole one"),
        ("https://user:password@example.com/", None, "must be a whole one"),
        ("https://example.com/webhooks/keystone", "environment", "would have the wrong secret"),
        ("https://example.com/webhooks/keystone/other", "environment", "would have the wrong secret"),
        ("https://example.com/elsewhere", "No Name", "only lower-case letters"),
        ("https://example.com/webhooks/keystone/No", None, "only lower-case letters"),
    ],
)
def test_a_url_that_cannot_work_is_refused(url: str, endpoint: str | None, told: str) -> None:
    with pytest.raises(RegistrationRefused, match=told):
        wanted(url, endpoint, ("*",), PRODUCTION)
