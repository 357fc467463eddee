"""What a flashed unit does about its own system: which boot slot runs, updates, the check before a commit.

Promises: nothing is installed that the project's release log does not show, that is older than what runs, or
that another key signed; a slot is committed only after it was seen to read; what is not committed is left by
the next restart. Needs no more of the project than `storage`.
"""
