"""What start-up puts right: blobs that no record names, purges not ended, keys that died with memory.

Everything here can itself be cut by a power loss and is then done again.
"""

from __future__ import annotations

import contextlib

from storage import leaf, purge
from storage.store import Store


def settle(store: Store) -> None:
    """Bring an opened home to rest. Nothing is guessed: a shorter or altered log has been refused before."""
    drop_stray_blobs(store)
    purge.settle(store)
    store.end_epochs()
    if store.log.frontier.size != store.slot_content.anchor_size:
        # A slot that takes no write now (a file on a full disk) is told of by the hourly care.
        with contextlib.suppress(Exception):
            store.anchor()


def drop_stray_blobs(store: Store) -> int:
    """Remove images whose record never came to be: only the epochs that were still open can hold any."""
    count = 0
    for epoch in store.blobs.epochs():
        facts = store.book.epochs.get(epoch)
        if facts is None or facts.purged_by is not None:
            count += store.blobs.drop(epoch)
        elif not facts.closed:
            count += store.blobs.keep_only(epoch, named_blobs(store, epoch))
    return count


def named_blobs(store: Store, epoch: int) -> set[str]:
    """File names of all blobs that records of this epoch name, re-sealed ones of a hold among them."""
    rows = store.db.conn.execute("SELECT leaf FROM leaves WHERE epoch = ?", (epoch,)).fetchall()
    rows += [(store.log.leaf(sequence),) for sequence in store.book.resealed_under(epoch)]
    return {mark.digest.hex() for (data,) in rows for mark in leaf.unchecked(bytes(data)).elements.values()}
