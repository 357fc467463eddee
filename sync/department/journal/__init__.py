"""The department's access log: its entries, the sealed Merkle log, the check of the log, and the witness."""
