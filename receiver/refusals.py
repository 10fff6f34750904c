"""Why a delivery was refused: one slug, the same in the exception, in the log and in the metric.

The caller learns less than we do: every failed verification gets the same 401.
"""

from enum import Enum

_UNAUTHORIZED = "The signature could not be verified."
_UNREADABLE = "The body is not a KeyStone event."
_LATER = "Not taken in. Send it again later."


class Refusal(Enum):
    """One reason: its slug, the status that answers it, and all that the caller is told."""

    SIGNATURE_MISSING = ("signature_missing", 401, _UNAUTHORIZED)
    SIGNATURE_MALFORMED = ("signature_malformed", 401, _UNAUTHORIZED)
    SIGNATURE_WRONG = ("signature_wrong", 401, _UNAUTHORIZED)
    UNKNOWN_ENDPOINT = ("unknown_endpoint", 401, _UNAUTHORIZED)

    NOT_JSON = ("not_json", 400, _UNREADABLE)
    NESTED_TOO_DEEP = ("nested_too_deep", 400, _UNREADABLE)
    NOT_AN_OBJECT = ("not_an_object", 400, _UNREADABLE)
    NO_EVENT_NAME = ("no_event_name", 400, _UNREADABLE)
    NO_DATA = ("no_data", 400, _UNREADABLE)
    EVENT_UNREADABLE = ("event_unreadable", 400, _UNREADABLE)

    NO_SUCH_PATH = ("no_such_path", 404, "There is nothing at this path.")
    METHOD_NOT_ALLOWED = ("method_not_allowed", 405, "Deliveries come by POST.")
    BODY_TOO_LARGE = ("body_too_large", 413, "The body is too large.")
    HTTP_MALFORMED = ("http_malformed", 400, "This is not HTTP.")
    REQUEST_TOO_SLOW = ("request_too_slow", 408, "The request took too long to arrive.")
    HEADERS_TOO_LARGE = ("headers_too_large", 431, "The headers are too large.")

    ROTATION_UNDER_WAY = ("rotation_under_way", 503, _LATER)
    SECRETS_UNREADABLE = ("secrets_unreadable", 503, _LATER)
    QUEUE_UNAVAILABLE = ("queue_unavailable", 503, _LATER)
    QUEUE_TOO_SLOW = ("queue_too_slow", 503, _LATER)
    OVERLOADED = ("overloaded", 503, _LATER)
    TOO_MANY_CONNECTIONS = ("too_many_connections", 503, _LATER)

    def __init__(self, slug: str, status: int, detail: str) -> None:
        self.slug = slug
        self.status = status
        self.detail = detail


_BY_SLUG = {refusal.slug: refusal for refusal in Refusal}


def unreadable(reason: str) -> Refusal:
    """Return the refusal for what `countersign.keystone.events` says of a body."""
    return _BY_SLUG.get(reason, Refusal.EVENT_UNREADABLE)


class Refused(Exception):
    """A delivery is not taken in, for the reason in `refusal`."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.slug)
        self.refusal = refusal


class Disconnected(Exception):
    """The caller went away before its body was complete: there is nobody to answer."""
