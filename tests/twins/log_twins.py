"""An access log of lookups, witnesses that can be cut off, and a publisher like the server's."""

from __future__ import annotations

import threading
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from desk_twins import GROUND

from storage.cosigners import Witnesses
from storage.errors import ForkedLogError
from sync.department.journal.access_log import AccessLog
from sync.department.journal.entry_base import Stamp
from sync.department.journal.inquiry_entries import Access
from sync.department.journal.publisher import Publisher, WatchingWitness
from sync.department.journal.witness_link import FolderWitness
from sync.department.journal.witness_server import WitnessFolder
from sync.errors import LinkError


def stamp(number: int) -> Stamp:
    return Stamp(
        at_us=1_790_000_000_000_000 + number * 1_000_000,
        user=f"comm{number % 3}",
        role="communications",
        organisation="Monrovia PD",
        session=bytes(32),
        demo=False,
    )


def look_up(number: int) -> Access:
    return Access(
        action="search",
        elements=f"plate=7ABC{number:03d}",
        plate=f"7ABC{number:03d}",
        ground=GROUND,
        on_behalf_of="",
        request=-1,
        approval=-1,
        reads=(),
    )


class Log:
    """An access log with a witness, and a publisher like the server's."""

    def __init__(
        self, folder: Path, witnesses: int = 1, quorum: int = 1, key: Ed25519PrivateKey | None = None
    ) -> None:
        self._number = 0
        self._guard = threading.Lock()
        self.key = key or Ed25519PrivateKey.generate()
        self.log = AccessLog.create(folder / "log", self.key)
        self.folders = [
            WitnessFolder.create(folder / f"w{number}", f"w{number}.example/1") for number in range(witnesses)
        ]
        keys = []
        for one in self.folders:
            one.add_log(self.log.note_key)
            keys.append(one.keys)
        self.witnesses = Witnesses(tuple(keys), quorum)
        self.now = 0.0
        self.links = [SlowLink(self, FolderWitness(one)) for one in self.folders]
        self.watchers = [
            WatchingWitness(key, link, lambda: self.now) for key, link in zip(keys, self.links, strict=True)
        ]
        self.publisher = Publisher(self.log, folder)

    def add(self) -> int:
        with self._guard:
            self._number += 1
            return self.log.append(look_up(self._number), stamp(self._number)).sequence

    def cover(self, sequence: int) -> int:
        return self.publisher.cover(sequence, self.witnesses, self.watchers).size

    def close(self) -> None:
        self.publisher.close()
        self.log.close()
        for one in self.folders:
            one.close()


class SlowLink:
    """A witness behind a line that can be cut, hang or refuse; counts the requests."""

    def __init__(self, log: Log, inner: FolderWitness) -> None:
        self.log, self.inner, self.asked, self.away, self.forked = log, inner, 0, False, False

    def cosign(self, old_size: int, proof: list[bytes], note: str) -> str:
        self.asked += 1
        if self.away:
            self.log.now += 5  # the length of a timeout
            raise LinkError("a time-out", where="witness")
        if self.forked:
            raise ForkedLogError("no continuation", where="witness")
        return self.inner.cosign(old_size, proof, note)

    def newest(self, origin: str) -> str:
        return self.inner.newest(origin)

    def close(self) -> None:
        """Do nothing: nothing is open."""
