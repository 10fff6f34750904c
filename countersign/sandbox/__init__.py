"""A local KeyStone OS in a process of its own, built from `keystone-api.md` alone.

It imports none of our other rooms, so that a mistake in one of them cannot agree with itself.
`docs/sandbox.md` describes what it can do; `app.py` puts it together.
"""
