"""What one caller may cost: header bytes, body bytes, time and connections, in the path that is shipped."""

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress

import pytest

from tests.inbox.stored import Stored
from tests.receiver.conftest import StartReceiver
from tests.receiver.running import PATH, RunningReceiver, event_body, one_answer, received, signed, status_of
from tests.services.valkey import ValkeyServer
from tests.services.waiting import eventually

MEGABYTE = 1024 * 1024
HEADER_LIMIT = 16384

BODY = event_body("bounds")


def request(
    body: bytes = BODY,
    *,
    more: bytes = b"",
    length: bytes | None = None,
    path: str = PATH,
    close: bool = True,
) -> bytes:
    """Write one signed request, with header lines of the test's own."""
    headers = "".join(f"{name}: {value}\r\n" for name, value in signed(body).items())
    announced = b"content-length: %d\r\n" % len(body) if length is None else length
    start = f"POST {path} HTTP/1.1\r\nhost: receiver\r\n{headers}".encode()
    return start + (b"connection: close\r\n" if close else b"") + announced + more + b"\r\n" + body


def chunked(body: bytes, size: int) -> bytes:
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def test_headers_within_the_bound_are_taken(receiver: RunningReceiver) -> None:
    raw = request(more=b"x-padding: " + b"x" * (HEADER_LIMIT - 500) + b"\r\n")
    assert status_of(receiver.exchange(raw)) == 202


@pytest.mark.parametrize(
    "more",
    [
        b"x-padding: " + b"x" * MEGABYTE + b"\r\n",
        b"x-padding: " + b"x" * HEADER_LIMIT + b"\r\n",
        b"".join(b"x-%d: %s\r\n" % (number, b"x" * 100) for number in range(MEGABYTE // 100)),
    ],
    ids=["one of 1 MB", "one byte too many or a few", "many of 1 MB in all"],
)
def test_headers_beyond_the_bound_are_431_and_the_end(
    receiver: RunningReceiver, stored: Stored, more: bytes
) -> None:
    before = receiver.deliveries().get("headers_too_large", 0)

    answer = receiver.exchange(request(more=more))

    assert status_of(answer) == 431
    assert stored.keys() == []
    assert receiver.deliveries()["headers_too_large"] == before + 1


def test_a_header_of_1_mb_is_refused_before_all_of_it_was_read(receiver: RunningReceiver) -> None:
    """The memory that a caller can take is bounded, not only the answer that it gets."""
    with receiver.connect() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        connection.sendall(b"POST / HTTP/1.1\r\nx: ")
        sent = 0
        with suppress(BrokenPipeError, ConnectionResetError):
            while sent < 100 * MEGABYTE:
                sent += connection.send(b"x" * 16384)
    assert sent < 10 * MEGABYTE


def test_a_url_beyond_the_bound_is_431(receiver: RunningReceiver) -> None:
    assert status_of(receiver.exchange(request(path=f"{PATH}?{'x' * HEADER_LIMIT}"))) == 431


def test_trailers_have_a_bound_too(receiver: RunningReceiver, stored: Stored) -> None:
    before = receiver.deliveries().get("headers_too_large", 0)
    trailers = b"".join(b"x-%d: %s\r\n" % (number, b"x" * 100) for number in range(MEGABYTE // 100))
    raw = request(length=b"transfer-encoding: chunked\r\n")[: -len(BODY)]
    receiver.exchange(raw + chunked(BODY, 50)[:-2] + trailers + b"\r\n")
    assert receiver.deliveries()["headers_too_large"] == before + 1
    assert stored.keys() == []


def test_a_chunked_body_is_taken(receiver: RunningReceiver, stored: Stored) -> None:
    raw = request(length=b"transfer-encoding: chunked\r\n")[: -len(BODY)]
    assert status_of(receiver.exchange(raw + chunked(BODY, 1))) == 202
    assert [entry.body for entry in stored.journal()] == [BODY]


def test_a_chunked_body_beyond_the_limit_is_413_while_it_is_read(
    receiver: RunningReceiver, stored: Stored
) -> None:
    large = b"x" * 65537
    raw = request(large, length=b"transfer-encoding: chunked\r\n")[: -len(large)]
    assert status_of(receiver.exchange(raw + chunked(large, 4096))) == 413
    # And if it never ends.
    with receiver.connect() as connection:
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(raw)
            for _ in range(MEGABYTE):
                connection.sendall(b"1000\r\n" + b"x" * 4096 + b"\r\n")
        answer = received(connection)
    assert answer == b"" or status_of(answer) == 413
    assert stored.keys() == []


def test_what_is_no_http_is_400_and_not_quoted(receiver: RunningReceiver) -> None:
    answer = receiver.exchange(b"\x16\x03\x01never-quoted\r\n\r\n")
    assert status_of(answer) == 400
    assert b"never-quoted" not in answer
    assert "never-quoted" not in receiver.process.stderr
    assert receiver.deliveries()["http_malformed"] >= 1


def test_requests_in_one_segment_are_all_answered(receiver: RunningReceiver, stored: Stored) -> None:
    bodies = [event_body(f"pipelined-{number}") for number in range(3)]
    raw = b"".join(request(body, close=body is bodies[-1]) for body in bodies)
    assert receiver.exchange(raw).count(b"HTTP/1.1 202 Accepted") == 3
    assert {entry.body for entry in stored.journal()} == set(bodies)


def test_a_request_behind_one_with_a_large_body_is_not_taken_for_large_headers(
    receiver: RunningReceiver,
) -> None:
    large = b'{"event": "x", "data": {}, "more": "' + b"x" * 60_000 + b'"}'
    second = request()
    with receiver.connect(5) as connection:
        connection.sendall(request(large, close=False) + second[:100])
        assert status_of(one_answer(connection)) == 202
        connection.sendall(second[100:])
        assert status_of(received(connection)) == 202


TIMEOUT_SECONDS = 0.4  # Of the receiver in `conftest.py`.


@pytest.fixture
def hasty(
    surviving_receiver: RunningReceiver,
    breakable_valkey: ValkeyServer,  # noqa: ARG001 - it makes the server whole again.
) -> RunningReceiver:
    """Give the test a receiver that gives a request little time."""
    return surviving_receiver


def drip(connection: socket.socket, raw: bytes) -> float:
    """Send a byte now and then until the server has closed; return the seconds that this took."""
    started = time.monotonic()
    connection.settimeout(0.05)
    for number in range(len(raw)):
        with suppress(BrokenPipeError, ConnectionResetError, TimeoutError):
            connection.send(raw[number : number + 1])
            if connection.recv(1, socket.MSG_PEEK) is not None:
                return time.monotonic() - started
    pytest.fail("the server never answered a request that never ended")


@pytest.mark.parametrize("kind", ["headers", "body", "chunk sizes", "nothing but line ends"])
def test_a_request_that_drips_is_ended_at_its_deadline(hasty: RunningReceiver, kind: str) -> None:
    head = request()[: -len(BODY)]
    endless = b"transfer-encoding: chunked\r\n"
    before = hasty.deliveries().get("request_too_slow", 0)
    with hasty.connect() as connection:
        if kind == "headers":
            seconds = drip(connection, b"POST / HTTP/1.1\r\nx: " + b"x" * 1000)
        elif kind == "body":
            connection.sendall(head)
            seconds = drip(connection, BODY)
        elif kind == "chunk sizes":
            connection.sendall(request(length=endless)[: -len(BODY)])
            seconds = drip(connection, b"0" * 1000)
        else:
            seconds = drip(connection, b"\r\n" * 1000)
        connection.settimeout(5)
        answer = received(connection)
    assert seconds < TIMEOUT_SECONDS + 1
    assert status_of(answer) == 408
    assert hasty.deliveries()["request_too_slow"] == before + 1


def test_a_connection_that_says_nothing_is_ended(hasty: RunningReceiver) -> None:
    with hasty.connect(5) as connection:
        assert status_of(received(connection)) == 408


def test_line_ends_between_requests_do_not_keep_a_connection(hasty: RunningReceiver) -> None:
    with hasty.connect(5) as connection:
        connection.sendall(request(close=False))
        assert status_of(one_answer(connection)) == 202
        connection.sendall(b"\r\n")
        assert status_of(received(connection)) == 408


def test_the_deadline_is_each_request_s_own(hasty: RunningReceiver) -> None:
    """A connection that is kept serves on, however old it is."""
    started = time.monotonic()
    with hasty.connect() as connection:
        while time.monotonic() - started < 2.5 * TIMEOUT_SECONDS:
            raw = request(close=False)
            connection.sendall(raw[:60])
            connection.sendall(raw[60:])
            assert status_of(one_answer(connection)) == 202


def test_the_deadline_does_not_cut_an_answer_that_takes_its_time(
    hasty: RunningReceiver, breakable_valkey: ValkeyServer
) -> None:
    breakable_valkey.pause()
    started = time.monotonic()
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(hasty.post, BODY)
        eventually(lambda: time.monotonic() - started > 2 * TIMEOUT_SECONDS, 5)
        breakable_valkey.resume()
        assert answer.result().status_code == 202


def test_a_request_behind_one_that_takes_its_time_is_answered_too(
    hasty: RunningReceiver, breakable_valkey: ValkeyServer
) -> None:
    """That the first one takes long is not the caller's delay."""
    breakable_valkey.pause()
    started = time.monotonic()
    with hasty.connect(5) as connection:
        connection.sendall(request(close=False) + request(event_body("second"))[:-10])
        eventually(lambda: time.monotonic() - started > 2 * TIMEOUT_SECONDS, 5)
        connection.sendall(BODY[-10:])
        breakable_valkey.resume()
        assert received(connection).count(b"HTTP/1.1 202 Accepted") == 2


def test_more_requests_at_once_than_allowed_are_503(
    start_receiver: StartReceiver, breakable_valkey: ValkeyServer
) -> None:
    receiver = start_receiver(breakable_valkey.url(), MAX_CONCURRENT_REQUESTS="4")
    breakable_valkey.pause()
    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(receiver.post, event_body(str(number))) for number in range(4)]
        eventually(lambda: receiver.under_way() == 4, 5, "four are under way")
        one_too_many = receiver.post(BODY)
        breakable_valkey.resume()
        assert [answer.result().status_code for answer in answers] == [202] * 4
    assert one_too_many.status_code == 503
    assert one_too_many.headers["retry-after"].isdigit()
    assert receiver.deliveries()["overloaded"] == 1
    assert receiver.post(BODY).status_code == 202


def test_more_connections_than_allowed_are_503(start_receiver: StartReceiver) -> None:
    receiver = start_receiver(MAX_CONNECTIONS="5")
    with ExitStack() as open_ones:
        for _ in range(4):  # With the one that the test's own client keeps, these are all.
            open_ones.enter_context(receiver.connect())
        with receiver.connect(5) as one_too_many:
            assert status_of(received(one_too_many)) == 503
        assert receiver.deliveries()["too_many_connections"] == 1
    eventually(lambda: receiver.exchange(request()).startswith(b"HTTP/1.1 202"), 5, "others have gone")
