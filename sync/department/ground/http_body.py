"""Reads request bodies with limits on size, time and memory, so that hostile clients cost little."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator

from starlette.requests import Request

from sync.errors import refuse

LEAST_BYTES_PER_S = 500  # a client slower than a bad GPRS connection is cut off
MEMORY_BYTES = 128 << 20  # all request bodies together


def _size(count: int) -> str:
    return f"{count / 1e6:,.1f} MB" if count >= 1_000_000 else f"{count / 1e3:,.1f} kB"


class Budget:
    """The bytes that all requests together may hold in memory. Use it only from the event loop."""

    def __init__(self, limit: int = MEMORY_BYTES) -> None:
        self._limit, self._held = limit, 0

    @contextlib.contextmanager
    def taking(self) -> Iterator[Callable[[int], None]]:
        """Gives a function that takes bytes until the block ends. Raises a refusal."""
        mine = 0

        def add(count: int) -> None:
            nonlocal mine
            if self._held + count > self._limit:
                raise refuse("busy", "the server's memory for requests is full: try again later")
            self._held += count
            mine += count

        try:
            yield add
        finally:
            self._held -= mine


async def read_body(request: Request, limit: int, seconds: float, add: Callable[[int], None]) -> bytes:
    """Read the whole body. Raises a refusal: too large, too slow, busy.

    Each LEAST_BYTES_PER_S bytes buy another second, up to `seconds`: a connection may pause that long, but a
    client that sent much at once cannot then rest for hours.
    """
    said = request.headers.get("content-length", "")
    if said.isdecimal() and int(said) > limit:
        sent, most = _size(int(said)), _size(limit)
        sent = f"{int(said):,} B" if sent == most else sent
        raise refuse("too-large", f"{sent}, but at most {most} ({limit:,} B) are accepted")
    pieces: list[bytes] = []
    total = 0
    stream = request.stream()
    loop = asyncio.get_running_loop()
    left_s = seconds
    while True:
        began = loop.time()
        try:
            async with asyncio.timeout_at(began + left_s):
                piece = await anext(stream, None)
        except TimeoutError:
            raise refuse("too-slow", f"nothing arrived for {seconds:g} s, or it arrived too slowly") from None
        if piece is None:
            return b"".join(pieces)
        total += len(piece)
        left_s = min(seconds, left_s - (loop.time() - began) + len(piece) / LEAST_BYTES_PER_S)
        if total > limit:
            raise refuse("too-large", f"at most {_size(limit)} are accepted")
        add(len(piece))
        pieces.append(piece)
