"""Each revision of the ledger's tables, in order."""
