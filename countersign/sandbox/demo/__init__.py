"""`countersign demo`: every process of the product as a real process, on made-up settlements, then an audit.

The demo imports none of our other rooms. It starts them through the command line, as a person would, and so
cannot share a mistake with what it checks.
"""
