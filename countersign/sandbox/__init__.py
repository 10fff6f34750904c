"""A local KeyStone, built from its documentation alone: it imports none of our other rooms."""
