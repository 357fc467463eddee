"""Daemon threads that run for the length of a block, and an event that a signal handler may set."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator


class SignalEvent:
    """Like threading.Event, but safe to set in a signal handler.

    A handler runs in the main thread between any two steps, even during a wait for this event. So the lock is
    reentrant: with the lock of threading.Event, the thread would deadlock with itself. A wait that is just
    beginning may then last its full timeout, so waits have one.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition(threading.RLock())
        self._set = False

    def set(self) -> None:
        """Set the event; safe in a signal handler."""
        with self._changed:
            self._set = True
            self._changed.notify_all()

    def is_set(self) -> bool:
        """Whether it is set."""
        return self._set

    def wait(self, seconds: float) -> bool:
        """Wait at most this long; returns whether it is set."""
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
    """Run `work` in a thread of this name until the block ends, which waits at most `join_s` for it.

    work: gets the event that ends it. wakes: another event that it waits for, which is then also set.
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
