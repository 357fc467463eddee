"""What the server keeps for the pages of open sessions, only in memory: unsent forms, answers, notices.

A form that met a lock is kept for its person and comes back unsent. An answer is kept for the session that
asked, so that its page can be shown again without another call. All of it is limited in size, ends with the
session or after an hour, and is gone when the server stops.
"""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from storage.times import HOUR_US

KEEP_US = HOUR_US
DRAFT_US = 16 * HOUR_US
DRAFTS_A_PERSON = 4
SHELVES = 400
THINGS_A_SHELF = 40
BYTES_A_SHELF = 24 << 20
FINDS_A_SHELF = 40


@dataclass(frozen=True, slots=True)
class Draft:
    """An unsent form: its page and its fields. The repr shows no field.

    `files`: the names of its files. They are not kept: no page can fill in a file again.
    """

    path: str
    pairs: tuple[tuple[str, str], ...] = field(repr=False)
    at_us: int
    files: tuple[str, ...] = field(default=(), repr=False)


@dataclass(slots=True)
class _Thing:
    value: Any = field(repr=False)
    at_us: int
    size: int


@dataclass(slots=True)
class Shelf:
    """What one session's pages show: answers by name, the ground of its last look, words to show once.

    Also the texts that were searched for in its lists, by the name that replaces each in the address.
    """

    user: str
    things: OrderedDict[str, _Thing] = field(default_factory=OrderedDict, repr=False)
    notices: list[str] = field(default_factory=list, repr=False)
    finds: OrderedDict[str, str] = field(default_factory=OrderedDict, repr=False)

    def keep_find(self, text: str) -> str:
        """Keep a text to find in a list, and return a random name for it. The least recently used one makes
        room."""
        name = secrets.token_urlsafe(9)
        self.finds[name] = text
        while len(self.finds) > FINDS_A_SHELF:
            self.finds.popitem(last=False)
        return name

    def find_of(self, name: str) -> str:
        """The text to find under a name; empty if it is not kept."""
        if name not in self.finds:
            return ""
        self.finds.move_to_end(name)
        return self.finds[name]

    def put(self, name: str, value: Any, at_us: int, size: int = 0) -> None:
        """Keep something under a name. The oldest makes room."""
        self.things.pop(name, None)
        self.things[name] = _Thing(value, at_us, size)
        held = sum(one.size for one in self.things.values())
        while len(self.things) > THINGS_A_SHELF or (held > BYTES_A_SHELF and len(self.things) > 1):
            held -= self.things.popitem(last=False)[1].size

    def get(self, name: str, now_us: int) -> Any:
        """What is kept under a name; None if it was never put, has made room, or is older than an hour."""
        found = self.things.get(name)
        if found is None or not 0 <= now_us - found.at_us <= KEEP_US:
            self.things.pop(name, None)
            return None
        return found.value


class Memory:
    """Shelves by session, drafts by person. Thread-safe for the calls of one event loop and its threads."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._guard = threading.Lock()
        self._shelves: OrderedDict[str, Shelf] = OrderedDict()
        self._drafts: OrderedDict[str, list[Draft]] = OrderedDict()

    def shelf(self, session: str, user: str) -> Shelf:
        """The shelf of a session."""
        with self._guard:
            found = self._shelves.pop(session, None) or Shelf(user)
            self._shelves[session] = found
            while len(self._shelves) > SHELVES:
                self._shelves.popitem(last=False)
            return found

    def owner(self, session: str) -> str:
        """The user of a session, if it was seen, else empty."""
        with self._guard:
            found = self._shelves.get(session)
            return found.user if found else ""

    def forget(self, session: str) -> None:
        """Drop everything of a session."""
        with self._guard:
            self._shelves.pop(session, None)

    def keep_draft(
        self, user: str, path: str, pairs: tuple[tuple[str, str], ...], files: tuple[str, ...]
    ) -> None:
        """Keep a person's unsent form, without its files."""
        draft = Draft(path, pairs, self._clock(), files)
        with self._guard:
            kept = [one for one in self._drafts.pop(user, []) if one.path != path]
            self._drafts[user] = [*kept, draft][-DRAFTS_A_PERSON:]
            while len(self._drafts) > SHELVES:
                self._drafts.popitem(last=False)

    def drafts(self, user: str) -> list[Draft]:
        """A person's unsent forms, newest first."""
        now_us = self._clock()
        with self._guard:
            kept = [one for one in self._drafts.get(user, []) if 0 <= now_us - one.at_us <= DRAFT_US]
            self._drafts[user] = kept
            return kept[::-1]

    def take_draft(self, user: str, path: str) -> Draft | None:
        """Remove and return a person's unsent form of a page."""
        found = next((one for one in self.drafts(user) if one.path == path), None)
        if found is not None:
            with self._guard:
                self._drafts[user] = [one for one in self._drafts[user] if one is not found]
        return found
