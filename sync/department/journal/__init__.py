"""The department's access log: its entries, the sealed Merkle log, its check, and the witness."""
