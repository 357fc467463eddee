"""Between the run and the ledger: opening, bookkeeping, purging, log rollover."""
