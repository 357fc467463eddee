"""A card whose power can be cut: an NBD server with a volatile write cache.

What the machine wrote and did not flush is in the cache alone. A cut keeps what was flushed and, of the rest,
a random part in sectors of 512 bytes, in any order, as a card may. Fixed newstyle handshake, simple replies:
https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import socket
import struct
import threading
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


class Card:
    """`path` holds what is durable; the cache what is not yet. Thread-safe."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = os.open(path, os.O_RDWR)
        self.size = os.fstat(self._fd).st_size
        self._cache: dict[int, bytes] = {}
        self._lock = threading.Lock()
        self.writes = self.flushes = 0

    def read(self, at: int, length: int) -> bytes:
        """Newest content, aligned to sectors."""
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
        """Into the cache; with `through` (FUA) these sectors are durable at once."""
        with self._lock:
            self.writes += 1
            if through:
                os.pwrite(self._fd, data, at)
                for sector in range(at // SECTOR, (at + len(data)) // SECTOR):
                    self._cache.pop(sector, None)
                return
            for start in range(0, len(data), SECTOR):
                self._cache[(at + start) // SECTOR] = data[start : start + SECTOR]

    def flush(self) -> None:
        """What was written is durable."""
        with self._lock:
            self.flushes += 1
            for sector, data in self._cache.items():
                os.pwrite(self._fd, data, sector * SECTOR)
            self._cache.clear()

    @property
    def unflushed(self) -> int:
        """Sectors that a cut may lose now."""
        return len(self._cache)

    def cut(self, out: Path, chance: random.Random) -> int:
        """The card after a power cut now, as a file; the number of sectors lost. The machine runs on."""
        with self._lock:
            shutil.copyfile(self.path, out)
            pending = sorted(self._cache.items())
        kept = [one for one in pending if chance.random() < 0.5]
        with out.open("r+b") as file:
            for sector, data in kept:
                file.seek(sector * SECTOR)
                file.write(data)
        return len(pending) - len(kept)

    def close(self) -> None:
        """Flush and close."""
        self.flush()
        os.close(self._fd)


class CardServer:
    """Serves one card on a Unix socket, to one machine at a time."""

    def __init__(self, card: Card, address: Path) -> None:
        self._card = card
        address.unlink(missing_ok=True)
        self._line = socket.socket(socket.AF_UNIX)
        self._line.bind(str(address))
        self._line.listen(4)
        self._stop = False
        self._thread = threading.Thread(target=self._accept, name="card", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Take no more connections."""
        self._stop = True
        with contextlib.suppress(OSError):
            self._line.shutdown(socket.SHUT_RDWR)
        self._line.close()

    def _accept(self) -> None:
        while not self._stop:
            try:
                line, _ = self._line.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(line,), name="card line", daemon=True).start()

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
