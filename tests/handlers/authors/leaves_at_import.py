"""Leaves while it is imported, and says more than it should."""

import sys

sys.exit("bye, Bearer abcdef")
