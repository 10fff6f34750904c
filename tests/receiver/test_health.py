"""`live` says that the process answers, `ready` that a webhook can be taken in, and why not."""

from tests.receiver.conftest import StartReceiver
from tests.receiver.running import RunningReceiver, event_body
from tests.services.valkey import ValkeyServer
from tests.services.waiting import eventually


def test_a_receiver_with_a_good_redis_is_ready(receiver: RunningReceiver) -> None:
    answer = receiver.http.get("/health/ready")
    assert answer.status_code == 200
    assert answer.json() == {"status": "ready", "checks": {"redis": "ok", "disk": "ok", "journal": "ok"}}
    assert receiver.http.get("/health/live").json() == {"status": "live"}


def test_it_is_not_ready_while_redis_hangs_but_lives(
    start_receiver: StartReceiver, own_valkey: ValkeyServer
) -> None:
    receiver = start_receiver(own_valkey.url(), QUEUE_TIMEOUT_SECONDS="0.3")
    own_valkey.pause()

    answer = receiver.http.get("/health/ready")

    assert answer.status_code == 503
    assert answer.json()["checks"] == {"redis": "does not take writes (TimeoutError)"}
    assert receiver.http.get("/health/live").status_code == 200
    own_valkey.resume()
    eventually(lambda: receiver.http.get("/health/ready").status_code == 200, 5, "ready")


def test_a_journal_that_nobody_empties_makes_it_unready_only_if_asked_to(
    start_receiver: StartReceiver,
) -> None:
    patient, impatient = start_receiver(), start_receiver(READY_JOURNAL_AGE_SECONDS="0.001")
    assert patient.post(event_body()).status_code == 202

    eventually(lambda: impatient.http.get("/health/ready").status_code == 503, 5, "the event is old")

    assert (
        impatient.http.get("/health/ready").json()["checks"]["journal"].startswith("its oldest event waits")
    )
    assert patient.http.get("/health/ready").status_code == 200
    assert impatient.post(event_body("another")).status_code == 202
