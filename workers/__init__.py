"""The deciding process: opens cases, asks handlers, submits decisions, keeps the ledger."""
