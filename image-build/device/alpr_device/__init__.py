"""How a flashed unit manages its own system: boot slots, updates, the check before a commit.

Promises: an update is installed only if it is in the project's release log, newer than the running version,
and signed by the right key; a slot is committed only after it has read a plate; the next restart leaves a
slot that is not committed. Of the project it needs only `storage`.
"""
