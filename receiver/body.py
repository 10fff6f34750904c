"""Reading a body within a bound, which holds while reading: a header may lie, and chunks have none."""

from litestar.types import Receive

from receiver.refusals import Disconnected, Refusal, Refused

_MOST_DIGITS = 18


async def read_body(receive: Receive, announced: bytes | None, max_bytes: int) -> bytes:
    """Read the whole body. `announced` is the `Content-Length` header, if there is one.

    Raises:
        Refused: It is larger than `max_bytes`, or says that it will be.
        Disconnected: The caller went away before it was complete.

    """
    if announced is not None and _number(announced) > max_bytes:
        raise Refused(Refusal.BODY_TOO_LARGE)
    body, more = bytearray(), True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            raise Disconnected
        part, more = message["body"], message["more_body"]
        if len(body) + len(part) > max_bytes:
            raise Refused(Refusal.BODY_TOO_LARGE)
        if not more and not body:
            return part  # The ordinary case, without a copy.
        body += part
    return bytes(body)


def _number(announced: bytes) -> int:
    # A value that is no number is the server's to refuse, and was; so long a number is beyond any bound.
    digits = announced[:_MOST_DIGITS]
    return int(digits) if digits.isdigit() else 0
