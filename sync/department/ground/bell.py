"""A bell from threads to the event loop, which wakes waiters within milliseconds without polling."""

from __future__ import annotations

import asyncio
import contextlib
import threading


class Bell:
    """Rung from any thread, heard by coroutines. It carries only a count."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._count = 0
        self._waiting: dict[asyncio.Event, asyncio.AbstractEventLoop] = {}
        self.closed = False

    @property
    def count(self) -> int:
        """How often it rang; pass it to `heard`, so that no ring between two waits is missed."""
        return self._count

    def ring(self) -> None:
        """Wake all waiters. Never blocks, never fails."""
        with self._guard:
            self._count += 1
            waiting = list(self._waiting.items())
        for event, loop in waiting:
            with contextlib.suppress(RuntimeError):  # a loop that has ended has no waiters
                loop.call_soon_threadsafe(event.set)

    def close(self) -> None:
        """Wake all present and future waiters at once, since the server ends."""
        self.closed = True
        self.ring()

    async def heard(self, since: int, seconds: float) -> bool:
        """Wait until the count differs from `since`; False if `seconds` went by without a ring."""
        event = asyncio.Event()
        with self._guard:
            if self._count != since or self.closed:
                return True
            self._waiting[event] = asyncio.get_running_loop()
        try:
            await asyncio.wait_for(event.wait(), seconds)
        except TimeoutError:
            return False
        else:
            return True
        finally:
            with self._guard:
                del self._waiting[event]
