"""What start-up puts right: images that no record names, purges not ended, keys that died with memory.

Everything here can itself be cut by a power loss and is then done again. Nothing that could be evidence is
removed: an image without a record is set aside, and more of them than a power cut leaves are an incident.
"""

from __future__ import annotations

import contextlib

from storage import files, leaf, purge
from storage.database import blob_of
from storage.errors import StorageError, StoreFullError
from storage.log_records import Incident, UncleanStart
from storage.state import IMAGES_AHEAD, IMAGES_LEFT, RUNNING
from storage.store import MOST_STRAYS, UnitStore


def settle(store: UnitStore) -> None:
    """Bring an opened home to rest. Nothing is guessed: a shorter or altered log has been refused before."""
    with contextlib.suppress(StoreFullError):  # then the next start does it
        note_unclean_start(store)
    purge.settle(store)
    with contextlib.suppress(StorageError):  # the next purge does it
        purge.remove_left(store)
    store.end_epochs()
    if store.log.frontier.size != store.slot_content.anchor_size:
        # A slot that takes no write now (a file on a full disk) is reported by the hourly maintenance.
        with contextlib.suppress(Exception):
            store.anchor()


def note_unclean_start(store: UnitStore) -> None:
    """Set stray images aside and log what an end without a stop left behind."""
    size = store.log.frontier.size
    found = stray_images(store)
    suspect = sum(len(names) for epoch, names in found.items() if len(names) > most_strays(store, epoch))
    count = sum(map(len, found.values()))
    if count or store.state.cursor(RUNNING):
        now = store.time.now()
        with store.adding():
            store.add_open(
                UncleanStart(
                    records=size,
                    unanchored=size - store.anchored()[0],
                    images=count,
                    at_us=store.time.trusted_us,
                    clock_state=now.state,
                )
            )
            if suspect:
                detail = (
                    f"{suspect} sealed images had no record at a log of {size}: "
                    "the log was cut short, or they were put there"
                )
                store.add_open(
                    Incident(what="images-without-record", detail=detail, at_us=store.time.trusted_us)
                )
            store.state = store.state.with_cursor(IMAGES_AHEAD, 0)
    with files.name_full_disk(store.home.root):
        _set_aside(store, found, size)


def _set_aside(store: UnitStore, found: dict[int, set[str]], size: int) -> None:
    for epoch, names in found.items():
        try:
            store.blobs.set_aside(epoch, names, store.home.strays / f"{epoch:08d}-{size}")
        except OSError as error:  # `verify` names what stays
            if files.is_full(error):
                raise


def stray_images(store: UnitStore) -> dict[int, set[str]]:
    """Per epoch the files among the images that no record names; epochs without a record of theirs too.

    Of a purged epoch none has a record, but for those that its purge could not remove.
    """
    found = {}
    left = bool(store.state.cursor(IMAGES_LEFT))
    for epoch in _epochs(store):
        facts = store.book.epochs.get(epoch)
        if facts is not None and facts.closed and facts.purged_by is None and not store.book.going(epoch):
            continue  # it was looked through when it closed, and `verify` does so again
        purged = facts is not None and facts.purged_by is not None
        listed = _listed(store, epoch)
        stray = listed - (set() if purged and not left else named_images(store, epoch))
        if stray or facts is None:
            found[epoch] = stray
    return found


def _epochs(store: UnitStore) -> list[int]:
    """Epochs that have a folder; none where the folder of them all is shut to this user."""
    try:
        return list(store.blobs.epochs())
    except OSError:
        return []


def _listed(store: UnitStore, epoch: int) -> set[str]:
    """The names in an epoch's folder; none where the card does not list them, or the folder is shut to this
    user: `verify` says so, and no start waits for it.
    """
    try:
        return store.blobs.names(epoch)
    except OSError:
        return set()


def most_strays(store: UnitStore, epoch: int) -> int:
    """How many images without a record a power cut can have left in an epoch's folder."""
    facts = store.book.epochs.get(epoch)
    at_work = epoch == store.book.next_epoch() if facts is None else facts.purged_by is None
    return max(MOST_STRAYS, store.state.cursor(IMAGES_AHEAD)) if at_work else 0


def named_images(store: UnitStore, epoch: int) -> set[str]:
    """File names of all images that records of this epoch name, re-sealed ones of a hold among them."""
    rows = store.db.conn.execute("SELECT leaf FROM leaves WHERE epoch = ?", (epoch,)).fetchall()
    rows += [(store.log.leaf(sequence),) for sequence in store.book.resealed_under(epoch)]
    return {mark.digest.hex() for (data,) in rows for mark in leaf.unchecked(blob_of(data)).elements.values()}
