"""Cleans up at start: images that no record names, interrupted purges, keys that were lost with memory.

All of this may itself be interrupted by a power cut and is then repeated. Nothing that could be evidence is
removed: images without a record are set aside, and more of them than a power cut leaves are an incident.
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
    """Clean up an opened home. Nothing is guessed: a shortened or altered log has already been refused."""
    with contextlib.suppress(StoreFullError):  # then the next start does it
        note_unclean_start(store)
    purge.settle(store)
    with contextlib.suppress(StorageError):  # the next purge does it
        purge.remove_left(store)
    store.end_epochs()
    if store.log.frontier.size != store.slot_content.anchor_size:
        # If the slot cannot be written (a file on a full disk), the hourly maintenance reports it.
        with contextlib.suppress(Exception):
            store.anchor()


def note_unclean_start(store: UnitStore) -> None:
    """Set stray images aside, and log that the last run did not stop cleanly."""
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
        except OSError as error:  # `verify` reports what remains
            if files.is_full(error):
                raise


def stray_images(store: UnitStore) -> dict[int, set[str]]:
    """The image files that no record names, by epoch; includes folders of unknown epochs.

    In a purged epoch no image has a record, except for those that its purge could not remove.
    """
    found = {}
    left = bool(store.state.cursor(IMAGES_LEFT))
    for epoch in _epochs(store):
        facts = store.book.epochs.get(epoch)
        if facts is not None and facts.closed and facts.purged_by is None and not store.book.going(epoch):
            continue  # checked when it closed, and again by `verify`
        purged = facts is not None and facts.purged_by is not None
        listed = _listed(store, epoch)
        stray = listed - (set() if purged and not left else named_images(store, epoch))
        if stray or facts is None:
            found[epoch] = stray
    return found


def _epochs(store: UnitStore) -> list[int]:
    """The epochs that have a folder; none if the folder of all epochs is closed to this user."""
    try:
        return list(store.blobs.epochs())
    except OSError:
        return []


def _listed(store: UnitStore, epoch: int) -> set[str]:
    """The names in an epoch's folder; none if it cannot be listed, which `verify` reports."""
    try:
        return store.blobs.names(epoch)
    except OSError:
        return set()


def most_strays(store: UnitStore, epoch: int) -> int:
    """The most images without a record that a power cut can leave in an epoch's folder."""
    facts = store.book.epochs.get(epoch)
    at_work = epoch == store.book.next_epoch() if facts is None else facts.purged_by is None
    return max(MOST_STRAYS, store.state.cursor(IMAGES_AHEAD)) if at_work else 0


def named_images(store: UnitStore, epoch: int) -> set[str]:
    """The file names of all images that records of this epoch name, including re-sealed ones of a hold."""
    rows = store.db.conn.execute("SELECT leaf FROM leaves WHERE epoch = ?", (epoch,)).fetchall()
    rows += [(store.log.leaf(sequence),) for sequence in store.book.resealed_under(epoch)]
    return {mark.digest.hex() for (data,) in rows for mark in leaf.unchecked(blob_of(data)).elements.values()}
