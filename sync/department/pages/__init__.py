"""The desk in a browser: pages over the table of operations. Nothing is decided here."""
