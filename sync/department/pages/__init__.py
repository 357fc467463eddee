"""The desk in a browser: pages over the table of operations. They decide nothing."""
