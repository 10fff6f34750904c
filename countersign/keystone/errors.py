"""What a call to KeyStone can end in, by what the caller can do about it.

    KeystoneError
    ├── TryAgainLater        nothing was changed; the same call may work after `after`
    │   └── AnswerUnreadable a 2xx to a safe call, but its body can't be used; if it stays, tell a person
    ├── CredentialsRefused   a person must act: `why` says on what; trying sooner than `after` is useless
    ├── RequestRefused       the request itself is wrong (400, 422, …): the same one never works
    ├── NotFound             it is not there, or it belongs to another environment (404)
    ├── StateConflict        it is not in a state for this (409): read it, then decide
    └── OutcomeUnknown       a call that changes something may or may not have been carried out:
                             read before anything else

The status decides, the platform's text never does (keystone-api.md 4.2). No message contains a token, a
secret, a header or a body. `status` is the HTTP status, or `None` where no answer came.
"""

from datetime import timedelta
from enum import StrEnum


class KeystoneError(Exception):
    """A call to KeyStone did not give what was asked for. `reason` is the message without advice on when."""

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.reason = message
        self.status = status


class TryAgainLater(KeystoneError):
    """KeyStone can't be asked now (429, 5xx to a safe call, network, token endpoint, our own budget).

    It is certain that nothing was changed there: for a decision too, this is raised only where the request
    was never sent, or was refused before any work.
    """

    def __init__(self, message: str, *, after: timedelta, status: int | None = None) -> None:
        super().__init__(message, status=status)
        self.after = after

    def __str__(self) -> str:
        """Say why, and when the same call may work."""
        return f"{self.reason}; try again in {self.after.total_seconds():.1f} s"


class AnswerUnreadable(TryAgainLater):
    """A safe call was answered 2xx with a body that lacks what we can't do without.

    Often a proxy's page, which goes away; a change of the platform's API, which doesn't, looks the same.
    """


class RefusedBecause(StrEnum):
    """On what a person must act, as far as the answer tells."""

    CLIENT_REFUSED = "client_refused"
    """The token endpoint does not accept the client id and secret, or not for this audience."""
    TOKEN_NOT_GENUINE = "token_not_genuine"  # noqa: S105 - a slug, no secret.
    """The token endpoint gave a token that fails a check that could be made."""
    TOKEN_UNVERIFIED = "token_unverified"  # noqa: S105 - a slug, no secret.
    """The token could not be checked, and `TOKEN_VERIFY=require` asks for it."""
    TOKEN_REFUSED = "token_refused"  # noqa: S105 - a slug, no secret.
    """The API answers 401 to a token that was fetched just now."""
    SCOPE_MISSING = "scope_missing"
    PLATFORM_SUSPENDED = "platform_suspended"
    ADDRESS_NOT_ALLOWED = "address_not_allowed"
    UNCLEAR = "unclear"


class CredentialsRefused(KeystoneError):
    """KeyStone knows us and says no, or does not know us. Nothing was changed there."""

    def __init__(
        self, message: str, *, why: RefusedBecause, after: timedelta, status: int | None = None
    ) -> None:
        super().__init__(message, status=status)
        self.why = why
        self.after = after


class RequestRefused(KeystoneError):
    """KeyStone can't make sense of the request, or a rule forbids it (400, 422 and other 4xx)."""


class NotFound(KeystoneError):
    """There is no such thing in this environment (404)."""


class StateConflict(KeystoneError):
    """It is not in a state in which this may be done (409). For a decision: not waiting for one."""


class OutcomeUnknown(KeystoneError):
    """A call that changes something was sent, and we can't tell whether it was carried out.

    No answer came, or a 5xx, or a redirect, or a 2xx whose body can't be read. `status` is a 2xx only where
    the answer looks like the platform's own (JSON or no body), not a page of some proxy. Never send it again
    before reading the settlement and its history.
    """
