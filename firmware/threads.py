"""Work beside the reading: a daemon thread for as long as a block lasts."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator


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
