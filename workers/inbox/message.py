"""Dramatiq's own message format, written by hand so that the receiver needs no Dramatiq.

A message is Dramatiq's JSON object (`dramatiq.Message.asdict`, 2.2.1). Its first argument is the journal
entry's id, which only Redis knows, and only once it has written the entry: so the two halves around it are
made here, and the script joins them. A contract test lets a stock Dramatiq worker read the result.
"""

import json

from workers.inbox.names import EVENTS_QUEUE, TAKE_EVENT

BEFORE_ENTRY_ID = (
    f'{{"queue_name":{json.dumps(EVENTS_QUEUE)},"actor_name":{json.dumps(TAKE_EVENT)},"args":["'
).encode()
"""Everything up to the journal entry's id; the same in every message."""


def after_entry_id(event_id: str, timestamp_milliseconds: int) -> bytes:
    """Write everything after the journal entry's id.

    The event's id (letters, digits and hyphens only: it goes into the JSON as it is) also names the message,
    so a message can be found by its event. `timestamp_milliseconds` is Unix time.
    """
    return (
        f'","{event_id}"],"kwargs":{{}},"options":{{"redis_message_id":"{event_id}"}},'
        f'"message_id":"{event_id}","message_timestamp":{timestamp_milliseconds}}}'
    ).encode()
