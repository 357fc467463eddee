"""Power cuts from a recording: what strace saw a process write and sync, and what a cut could leave of it.

The model is harsher than most file systems: content is durable only after fsync or fdatasync of the file,
a name only after fsync of its folder; a rename between two folders is one step in both, durable after fsync
of either. After a cut, any operation that was not synced may be there, absent, torn, or (content) there while
an earlier one is absent; names keep their order within a folder.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

CALLS = (
    "openat,open,creat,close,write,pwrite64,writev,pwritev,lseek,fsync,fdatasync,syncfs,ftruncate,truncate,rename,"
    "renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,rmdir,link,linkat,symlink,fallocate,dup,dup2,fcntl"
)
SECTOR = 512
ROOT = Path(__file__).resolve().parents[2]
_CALL = re.compile(r"^(?:\d+\s+)?(\w+)\((.*)\)\s+= (-?\d+|\?)")
_RESUMED = re.compile(r"^\d+\s+<\.\.\. \w+ resumed>(.*)$")
_STRING = re.compile(r'"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?')


class UnknownCallError(Exception):
    """The recording has a call that the model does not know, which must not be skipped."""


@dataclass(slots=True)
class Inode:
    """A file: its durable content and the changes since."""

    durable: bytes = b""
    pending: list[tuple[str, int, bytes]] = field(default_factory=list)

    def sync(self) -> None:
        self.durable = apply(self.durable, self.pending)
        self.pending = []


@dataclass(slots=True, eq=False)
class Step:
    """A name added or dropped; `half`: for a rename between folders, the other folder and its step."""

    kind: str
    name: str
    target: object = None
    half: tuple[Folder, Step] | None = None


@dataclass(slots=True, eq=False)
class Folder:
    """A folder: its durable names and the changes since."""

    durable: dict[str, object] = field(default_factory=dict)
    pending: list[Step] = field(default_factory=list)

    def now(self) -> dict[str, object]:
        return replay(self.durable, self.pending)

    def sync(self) -> None:
        self._sync(len(self.pending))

    def _sync(self, count: int) -> None:
        done, self.pending = self.pending[:count], self.pending[count:]
        self.durable = replay(self.durable, done)
        for folder, half in (step.half for step in done if step.half is not None):
            if half in folder.pending:  # with the steps before it: names keep their order
                folder._sync(folder.pending.index(half) + 1)

    def reached(self) -> list[Folder]:
        """This folder and all below it, including those reached only before or after pending steps."""
        found, seen = [self], {id(self)}
        for folder in found:
            for one in [*folder.durable.values(), *(step.target for step in folder.pending)]:
                if isinstance(one, Folder) and id(one) not in seen:
                    found.append(one)
                    seen.add(id(one))
        return found


def apply(content: bytes, operations: list[tuple[str, int, bytes]]) -> bytes:
    data = bytearray(content)
    for kind, at, payload in operations:
        if kind == "cut":
            data[at:] = bytes(max(0, at - len(data)))
        else:
            if len(data) < at:
                data += bytes(at - len(data))
            data[at : at + len(payload)] = payload
    return bytes(data)


def replay(names: dict[str, object], steps: list[Step]) -> dict[str, object]:
    result = dict(names)
    for step in steps:
        if step.kind == "add":
            result[step.name] = step.target
        else:
            result.pop(step.name, None)
    return result


@dataclass(frozen=True, slots=True)
class Event:
    """A system call on the recorded tree."""

    call: str
    strings: tuple[bytes, ...]
    numbers: tuple[int, ...]
    result: int
    text: str


def parse(trace: str) -> list[Event]:
    """All successful calls in a recording, in order."""
    events = []
    unfinished: dict[str, str] = {}  # by thread: strace splits a call interrupted by another
    for raw in trace.splitlines():
        line, thread = raw, raw.partition(" ")[0]
        if raw.endswith(" <unfinished ...>"):
            unfinished[thread] = raw.removesuffix(" <unfinished ...>")
            continue
        resumed = _RESUMED.match(raw)
        if resumed is not None:
            line = unfinished.pop(thread) + resumed[1]
        match = _CALL.match(line)
        if match is None or match[3] == "?" or int(match[3]) < 0:
            continue
        if '"...' in match[2]:
            raise UnknownCallError("a string was cut short: raise strace -s")
        strings = tuple(bytes.fromhex(s.replace("\\x", "")) for s, _ in _STRING.findall(match[2]))
        bare = _STRING.sub("", match[2])
        numbers = tuple(int(n) for n in re.findall(r"(?<![\w])(-?\d+)(?![\w])", bare))
        events.append(Event(match[1], strings, numbers, int(match[3]), bare))
    return events


class Disk:
    """The tree under `root` as the recording builds it; `said`: the announcements so far."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.top = Folder()
        self.open: dict[int, tuple[object, int, str]] = {}  # descriptor -> (inode or folder, offset, flags)
        self.said: list[str] = []

    def _inside(self, path: str) -> list[str] | None:
        try:
            return list(Path(path).relative_to(self.root).parts)
        except ValueError:
            return None

    def _folder(self, parts: list[str]) -> Folder | None:
        here: object = self.top
        for part in parts:
            here = here.now().get(part) if isinstance(here, Folder) else None
        return here if isinstance(here, Folder) else None

    def _place(self, path: bytes) -> tuple[Folder, str] | None:
        parts = self._inside(path.decode())
        if not parts:
            return None
        folder = self._folder(parts[:-1])
        return None if folder is None else (folder, parts[-1])

    def step(self, event: Event) -> bool:
        """Apply one call. Returns whether it touched the tree."""
        handler = getattr(self, f"_{event.call}", None)
        if handler is None:
            raise UnknownCallError(event.call)
        return bool(handler(event))

    def _openat(self, event: Event) -> bool:
        path = event.strings[0].decode()
        parts = self._inside(path)
        if parts is None:
            return False
        target: object = self.top
        touched = False
        if parts:
            place = self._place(event.strings[0])
            if place is None:
                raise UnknownCallError(f"open of {path} outside the recorded tree")
            folder, name = place
            found = folder.now().get(name)
            if found is None:
                found = Inode()
                folder.pending.append(Step("add", name, found))
                touched = True
            target = found
            if "O_TRUNC" in event.text and isinstance(target, Inode):
                target.pending.append(("cut", 0, b""))
        self.open[event.result] = (target, 0, event.text)
        return touched

    _open = _openat

    def _close(self, event: Event) -> bool:
        self.open.pop(event.numbers[0], None)
        return False

    def _lseek(self, event: Event) -> bool:
        known = self.open.get(event.numbers[0])
        if known is not None:
            self.open[event.numbers[0]] = (known[0], event.result, known[2])
        return False

    def _write(self, event: Event) -> bool:
        descriptor = event.numbers[0]
        if descriptor == 1:
            self.said += event.strings[0].decode().splitlines()
            return False
        known = self.open.get(descriptor)
        if known is None or not isinstance(known[0], Inode):
            return False
        target, (_, offset, flags) = known[0], known
        if "O_APPEND" in flags:
            offset = len(apply(target.durable, target.pending))
        target.pending.append(("put", offset, event.strings[0][: event.result]))
        self.open[descriptor] = (target, offset + event.result, flags)
        return True

    def _pwrite64(self, event: Event) -> bool:
        known = self.open.get(event.numbers[0])
        if known is None or not isinstance(known[0], Inode):
            return False
        known[0].pending.append(("put", event.numbers[-1], event.strings[0][: event.result]))
        return True

    def _fsync(self, event: Event) -> bool:
        known = self.open.get(event.numbers[0])
        if known is None:
            return False
        known[0].sync()  # type: ignore[attr-defined]
        return True

    _fdatasync = _fsync

    def _syncfs(self, event: Event) -> bool:
        """Make all names and contents durable, including those of closed files."""
        reached: list[object] = [self.top]
        while reached:
            one = reached.pop()
            one.sync()  # type: ignore[attr-defined]
            if isinstance(one, Folder):
                reached += one.durable.values()
        return True

    def _ftruncate(self, event: Event) -> bool:
        known = self.open.get(event.numbers[0])
        if known is None or not isinstance(known[0], Inode):
            return False
        known[0].pending.append(("cut", event.numbers[1], b""))
        return True

    def _fallocate(self, event: Event) -> bool:
        descriptor, mode, at, length = event.numbers
        known = self.open.get(descriptor)
        if known is None or not isinstance(known[0], Inode):
            return False
        if mode:
            raise UnknownCallError(f"fallocate {event.text}")
        known[0].pending.append(("put", at + length, b""))
        return True

    def _rename(self, event: Event) -> bool:
        source, target = self._place(event.strings[0]), self._place(event.strings[1])
        if source is None and target is None:
            return False
        if source is None or target is None:
            raise UnknownCallError("a rename across the border of the recorded tree")
        moved = source[0].now()[source[1]]
        added, dropped = Step("add", target[1], moved), Step("drop", source[1])
        if source[0] is not target[0]:
            added.half, dropped.half = (source[0], dropped), (target[0], added)
        target[0].pending.append(added)
        source[0].pending.append(dropped)
        return True

    _renameat = _renameat2 = _rename

    def _unlink(self, event: Event) -> bool:
        place = self._place(event.strings[0])
        if place is None:
            return False
        place[0].pending.append(Step("drop", place[1]))
        return True

    _unlinkat = _rmdir = _unlink

    def _mkdir(self, event: Event) -> bool:
        place = self._place(event.strings[0])
        if place is None:
            return False
        place[0].pending.append(Step("add", place[1], Folder()))
        return True

    _mkdirat = _mkdir

    def _fcntl(self, event: Event) -> bool:
        if "F_DUPFD" in event.text and event.numbers[0] in self.open:
            self.open[event.result] = self.open[event.numbers[0]]
        return False

    def _dup(self, event: Event) -> bool:
        if event.numbers[0] in self.open:
            self.open[event.result] = self.open[event.numbers[0]]
        return False

    # -- the cut ---------------------------------------------------------------------------------

    def cut(self, into: Path, rng: random.Random) -> None:
        """Write a tree that a power cut now could leave."""
        style = rng.choice(("none", "all", "prefix", "any", "torn"))
        self._leave(self.top, into, rng, style, _kept(self.top.reached(), rng, style))

    def _leave(
        self, folder: Folder, into: Path, rng: random.Random, style: str, kept: dict[int, int]
    ) -> None:
        into.mkdir(parents=True, exist_ok=True)
        for name, target in replay(folder.durable, folder.pending[: kept[id(folder)]]).items():
            if isinstance(target, Folder):
                self._leave(target, into / name, rng, style, kept)
            elif isinstance(target, Inode):
                if name.endswith("-shm"):
                    continue  # shared memory, which SQLite rebuilds from the log
                (into / name).write_bytes(_content(target, rng, style))


def _kept(folders: list[Folder], rng: random.Random, style: str) -> dict[int, int]:
    """How many pending steps each folder (by id) keeps; of a rename, either both halves or neither."""
    kept = dict[int, int]()
    for folder in folders:
        pending = folder.pending
        keep = {"none": 0, "all": len(pending)}.get(style, rng.randint(0, len(pending)))
        if 0 < keep < len(pending) and pending[keep].kind == "drop" and pending[keep - 1].kind == "add":
            keep += 1  # a rename is one step
        kept[id(folder)] = keep
    lost = [step for folder in folders for step in folder.pending[kept[id(folder)] :]]
    while lost:
        step = lost.pop()
        if step.half is None or step.half[1] not in step.half[0].pending:
            continue
        folder, at = step.half[0], step.half[0].pending.index(step.half[1])
        lost += folder.pending[at : kept[id(folder)]]
        kept[id(folder)] = min(at, kept[id(folder)])
    return kept


def _content(inode: Inode, rng: random.Random, style: str) -> bytes:
    operations = list(inode.pending)
    if style == "none":
        operations = []
    elif style == "prefix":
        operations = operations[: rng.randint(0, len(operations))]
    elif style == "any":
        operations = [one for one in operations if rng.random() < 0.5]
    elif style == "torn" and operations:
        operations = operations[: rng.randint(1, len(operations))]
        kind, at, payload = operations[-1]
        if kind == "put" and payload:
            sectors = rng.randint(0, len(payload) // SECTOR)
            operations[-1] = (kind, at, payload[: sectors * SECTOR])
    return apply(inode.durable, operations)


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests' / 'twins'}"}


def recorded(trace: Path, writer: Path, *words: str) -> list[Event]:
    """Record a program's calls with strace; skips the test if strace cannot trace here."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed: power cuts need its recording (apt-get install strace)")
    command = ["strace", "-f", "-xx", "-s", "200000", "-e", f"trace={CALLS}", "-o", str(trace)]
    done = subprocess.run(
        [*command, sys.executable, str(writer), *words],
        env=environment(), capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    if done.returncode and "ptrace" in done.stderr:
        pytest.skip(f"strace may not trace here: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr[-2000:]
    return parse(trace.read_text())


def touching(events: list[Event]) -> list[int]:
    """The indices of calls that change the disk or announce something."""
    return [at for at, event in enumerate(events) if event.call not in {"openat", "close", "lseek"}]


def said_at(events: list[Event], word: bytes) -> list[int]:
    """The indices of announcements that start with this word."""
    return [
        at
        for at, event in enumerate(events)
        if event.call == "write" and event.numbers[0] == 1 and event.strings[0].startswith(word)
    ]
