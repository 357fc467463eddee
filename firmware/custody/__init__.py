"""What connects a run with its ledger: opening, bookkeeping, purging, log rollover."""
