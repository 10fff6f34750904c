"""The one narrow door that the receiver may use: queue names, and how an event is put in.

It imports neither Dramatiq nor SQL, so that the public process installs neither.
"""

from workers.inbox.put import Delivery, Inbox, Put

__all__ = ["Delivery", "Inbox", "Put"]
