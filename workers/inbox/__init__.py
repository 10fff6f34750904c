"""The one narrow door that the receiver may use: queue names, and how an event is put in."""
