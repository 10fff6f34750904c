"""The ledger's migrations, run by `countersign migrate`."""
