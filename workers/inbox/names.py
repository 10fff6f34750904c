"""The names of everything that the queue keeps in Redis, in one place for the receiver and the workers."""

NAMESPACE = "countersign"
"""What each key of ours begins with; it is also the namespace of the Dramatiq broker."""

EVENTS_QUEUE = "events"
CASES_QUEUE = "cases"

TAKE_EVENT = "take_event"
"""The actor that copies an event from the journal into the ledger: `take_event(entry_id, event_id)`."""

ADVANCE_CASE = "advance_case"
"""The actor that does the next step of a case: `advance_case(case_id)`."""

JOURNAL = f"{NAMESPACE}:journal"
"""A stream: each event that was answered 2xx, until a worker has committed it to the ledger."""

PENDING = f"{NAMESPACE}:pending"
"""A hash from event key to journal entry id: events that no worker has begun with. Repeats merge by it."""


def queue_key(queue: str) -> str:
    """Name the list in which Dramatiq keeps the ids of a queue's messages."""
    return f"{NAMESPACE}:{queue}"


def messages_key(queue: str) -> str:
    """Name the hash in which Dramatiq keeps the bodies of a queue's messages."""
    return f"{NAMESPACE}:{queue}.msgs"


def bell(queue: str) -> str:
    """Name the list on which a queue's consumers block: one ring in it wakes one of them."""
    return f"{NAMESPACE}:{queue}.bell"


def last_put(sender: str) -> str:
    """Name the short-lived record of the last group that one sender put, by which a re-send is recognised."""
    return f"{NAMESPACE}:last-put:{sender}"
