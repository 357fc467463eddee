"""The technician console: the same on a serial cable and over SSH.

Promises: it never shows a plate, nothing runs without a grant that names it, and every command is in the
log before its first output.
"""
