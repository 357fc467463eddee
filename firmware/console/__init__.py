"""The technician console: the same on a serial cable and over SSH.

Promises: nobody sees a plate here, nothing runs without a grant that names it, and every command is in the
log before its first output.
"""
