"""Handlers in processes of their own: limited in memory and time, ended with their worker, plain data only.

`child` is what runs in such a process. `answers`, `evidence`, `failures`, `frames` and `loading` are what it
shares with the worker, and import nothing but the standard library and `countersign`, so that a process is
there in a moment. `process`, `pool` and `asking` are the worker's side.
"""
