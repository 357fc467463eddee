"""A card whose power can be cut: an NBD server with a volatile write cache.

What the machine wrote but did not flush is only in the cache. A cut keeps what was flushed and a random part
of the rest, in sectors of 512 bytes and in any order, as a card may. The machine keeps running: the content
after each cut is reconstructed later from the original card and the durable writes in their order. Fixed
newstyle handshake, simple replies: https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md
"""

from __future__ import annotations

import contextlib
import os
import random
import socket
import struct
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

_OPT = struct.Struct(">8sII")
_REPLY_OPT = struct.Struct(">QIII")
_REQUEST = struct.Struct(">IHHQQI")
_REPLY = struct.Struct(">IIQ")
_OPTION_MAGIC = 0x3E889045565A9
_REQUEST_MAGIC, _REPLY_MAGIC = 0x25609513, 0x67446698
_READ, _WRITE, _DISC, _FLUSH, _TRIM, _ZEROES = 0, 1, 2, 3, 4, 6
_FUA = 1
_FLAGS = 1 | 4 | 8 | 32 | 64  # has flags, flush, FUA, trim, write zeroes
SECTOR = 512


Write = tuple[int, bytes]  # (first byte, data)


@dataclass(frozen=True, slots=True)
class Cut:
    """A power cut: the number of durable writes before it, the other writes that landed, the sectors lost."""

    after: int
    landed: tuple[Write, ...]
    lost: int


class Card:
    """A card: `path` has the durable content, the cache the rest. Thread-safe.

    durable: with `keep`, every write that became durable, in order, until the last cut.
    """

    def __init__(self, path: Path, *, keep: bool = False) -> None:
        self.path = path
        self._fd = os.open(path, os.O_RDWR)
        self.size = os.fstat(self._fd).st_size
        self._cache: dict[int, bytes] = {}
        self._lock = threading.RLock()
        self._keep = keep
        self.durable: list[Write] = []
        self.cuts: list[Cut] = []
        self._cutter: Cutter | None = None
        self._watched = range(0)
        self.watched = 0  # bytes written to the watched place
        self.writes = self.flushes = 0

    def arm(self, cutter: Cutter | None) -> None:
        """Cut the power in the middle of writes from now on; None stops that."""
        with self._lock:
            self._cutter = cutter

    def watch(self, place: range) -> None:
        """From now on, count the bytes written to this range."""
        with self._lock:
            self._watched, self.watched = place, 0

    def read(self, at: int, length: int) -> bytes:
        """The newest content, aligned to sectors."""
        with self._lock:
            data = bytearray(os.pread(self._fd, length, at))
            if self._cache:
                for sector in range(at // SECTOR, (at + length) // SECTOR):
                    held = self._cache.get(sector)
                    if held is not None:
                        start = sector * SECTOR - at
                        data[start : start + SECTOR] = held
            return bytes(data)

    def write(self, at: int, data: bytes, *, through: bool) -> None:
        """Write to the cache; with `through` (FUA) these sectors are durable at once."""
        with self._lock:
            self.writes += 1
            if at in self._watched:
                self.watched += len(data)
            if through:
                self._lay_down(at, data)
                for sector in range(at // SECTOR, (at + len(data)) // SECTOR):
                    self._cache.pop(sector, None)
                return
            for start in range(0, len(data), SECTOR):
                self._cache[(at + start) // SECTOR] = data[start : start + SECTOR]
            if self._cutter is not None and self._cutter.now():
                self.cut(self._cutter.chance)
                self._keep = self._keep and self._cutter.left > 0

    def _lay_down(self, at: int, data: bytes) -> None:
        os.pwrite(self._fd, data, at)
        if self._keep:
            self.durable.append((at, data))

    def flush(self) -> None:
        """Make everything that was written durable."""
        with self._lock:
            self.flushes += 1
            for at, data in _runs(self._cache):
                self._lay_down(at, data)
            self._cache.clear()

    @property
    def unflushed(self) -> int:
        """How many sectors a cut may lose now."""
        return len(self._cache)

    def cut(self, chance: random.Random) -> Cut:
        """Record a power cut now, also in `cuts`; the machine keeps running."""
        with self._lock:
            cut = self._cut(chance)
            self.cuts.append(cut)
            return cut

    def fail(self, chance: random.Random) -> Cut:
        """Cut the power for good: of what was not flushed, a random part is kept. The machine must be off."""
        with self._lock:
            cut = self._cut(chance)
            self._cache.clear()
            for at, data in cut.landed:
                self._lay_down(at, data)
            return cut

    def _cut(self, chance: random.Random) -> Cut:
        landed = {sector: data for sector, data in sorted(self._cache.items()) if chance.random() < 0.5}
        return Cut(len(self.durable), tuple(_runs(landed)), len(self._cache) - len(landed))

    def close(self) -> None:
        """Flush and close."""
        self.flush()
        os.close(self._fd)


class Cutter:
    """Chooses the writes during which the power fails: about one in `every`, never two within `apart_s`."""

    def __init__(self, chance: random.Random, *, count: int, every: int = 6, apart_s: float = 0.3) -> None:
        self.chance, self._every, self._apart_s = chance, every, apart_s
        self.left = count
        self._last_s = 0.0

    def now(self) -> bool:
        """Whether the power fails at this write; called at each."""
        due = self.left > 0 and time.monotonic() - self._last_s >= self._apart_s
        if not due or self.chance.randrange(self._every):
            return False
        self.left, self._last_s = self.left - 1, time.monotonic()
        return True


def cards_after(card: Path, durable: Sequence[Write], cuts: Iterable[Cut]) -> Iterator[Cut]:
    """Bring `card`, a copy from before the first write, to the content after each cut in turn."""
    done = 0
    with card.open("r+b", buffering=0) as file:
        for cut in cuts:
            _write_all(file.fileno(), durable[done : cut.after])
            done = cut.after
            before = [(at, os.pread(file.fileno(), len(data), at)) for at, data in cut.landed]
            _write_all(file.fileno(), cut.landed)
            yield cut
            _write_all(file.fileno(), before)


def _write_all(file: int, writes: Iterable[Write]) -> None:
    for at, data in writes:
        os.pwrite(file, data, at)


def _runs(sectors: dict[int, bytes]) -> Iterator[Write]:
    """Join adjacent sectors, so that a flush is few writes."""
    begun, held = -1, bytearray()
    for sector, data in sorted(sectors.items()):
        if begun >= 0 and sector * SECTOR != begun + len(held):
            yield begun, bytes(held)
            begun, held = -1, bytearray()
        if begun < 0:
            begun = sector * SECTOR
        held += data
    if begun >= 0:
        yield begun, bytes(held)


class CardServer:
    """Serves one card on a Unix socket, to one machine at a time."""

    def __init__(self, card: Card, address: Path) -> None:
        self._card = card
        address.unlink(missing_ok=True)
        self._line = socket.socket(socket.AF_UNIX)
        self._line.bind(str(address))
        self._line.listen(4)
        self._stop = False
        self._lines: list[threading.Thread] = []
        self._thread = threading.Thread(target=self._accept, name="card", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Accept no more connections."""
        self._stop = True
        with contextlib.suppress(OSError):
            self._line.shutdown(socket.SHUT_RDWR)
        self._line.close()

    def drained(self) -> None:
        """Wait, at most 30 s a line, until everything that a machine sent before it went off is processed."""
        for serving in self._lines:
            serving.join(30.0)
        self._lines.clear()

    def _accept(self) -> None:
        while not self._stop:
            try:
                line, _ = self._line.accept()
            except OSError:
                return
            serving = threading.Thread(target=self._serve, args=(line,), name="card line", daemon=True)
            self._lines.append(serving)
            serving.start()

    def _serve(self, line: socket.socket) -> None:
        with contextlib.suppress(OSError, EOFError), line:
            if self._greet(line):
                while self._answer(line):
                    pass

    def _greet(self, line: socket.socket) -> bool:
        line.sendall(struct.pack(">8s8sH", b"NBDMAGIC", b"IHAVEOPT", 3))
        _exactly(line, 4)
        while True:
            _, option, length = _OPT.unpack(_exactly(line, _OPT.size))
            _exactly(line, length)
            if option == 1:  # EXPORT_NAME
                line.sendall(struct.pack(">QH", self._card.size, _FLAGS))
                return True
            if option in {6, 7}:  # INFO, GO
                body = struct.pack(">HQH", 0, self._card.size, _FLAGS)
                line.sendall(_REPLY_OPT.pack(_OPTION_MAGIC, option, 3, len(body)) + body)
                sizes = struct.pack(">HIII", 3, SECTOR, 4096, 1 << 25)
                line.sendall(_REPLY_OPT.pack(_OPTION_MAGIC, option, 3, len(sizes)) + sizes)
                line.sendall(_REPLY_OPT.pack(_OPTION_MAGIC, option, 1, 0))
                if option == 7:
                    return True
            elif option == 2:  # ABORT
                line.sendall(_REPLY_OPT.pack(_OPTION_MAGIC, option, 1, 0))
                return False
            else:
                line.sendall(_REPLY_OPT.pack(_OPTION_MAGIC, option, (1 << 31) | 1, 0))

    def _answer(self, line: socket.socket) -> bool:
        _, flags, kind, cookie, at, length = _REQUEST.unpack(_exactly(line, _REQUEST.size))
        head = _REPLY.pack(_REPLY_MAGIC, 0, cookie)
        if kind == _READ:
            line.sendall(head + self._card.read(at, length))
            return True
        if kind == _DISC:
            return False
        if kind == _WRITE:
            self._card.write(at, _exactly(line, length), through=bool(flags & _FUA))
        elif kind == _ZEROES:
            self._card.write(at, bytes(length), through=bool(flags & _FUA))
        elif kind == _FLUSH:
            self._card.flush()
        line.sendall(head)
        return True


def _exactly(line: socket.socket, length: int) -> bytes:
    parts = []
    while length:
        data = line.recv(min(length, 1 << 20))
        if not data:
            raise EOFError
        parts.append(data)
        length -= len(data)
    return b"".join(parts)
