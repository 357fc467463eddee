"""Work beside the reading: a daemon thread for as long as a block lasts; and what a signal may set."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator


class SignalEvent:
    """As threading.Event, for what the handler of a signal sets.

    A handler runs in the main thread between two steps of whatever that does, a wait for this event included.
    So its lock is one that the same thread may take again: on that of threading.Event it would wait for
    itself, for ever. A wait that just begins then lasts its whole time; give it one.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition(threading.RLock())
        self._set = False

    def set(self) -> None:
        """Also from a signal's handler."""
        with self._changed:
            self._set = True
            self._changed.notify_all()

    def is_set(self) -> bool:
        """Whether it was set."""
        return self._set

    def wait(self, seconds: float) -> bool:
        """Whether it was set, waiting for so long at most."""
        with self._changed:
            return self._changed.wait_for(self.is_set, timeout=seconds)


@contextlib.contextmanager
def working(
    name: str,
    work: Callable[[threading.Event], None],
    *,
    wakes: threading.Event | None = None,
    join_s: float = 5.0,
) -> Iterator[None]:
    """A thread of this name runs `work` until the block ends, which waits `join_s` for it at most.

    work: gets the event that ends it. wakes: what it waits for meanwhile, which is set too.
    """
    stop = threading.Event()
    thread = threading.Thread(target=work, args=(stop,), name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        if wakes is not None:
            wakes.set()
        thread.join(join_s)
