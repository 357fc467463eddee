"""What the server keeps for the pages of open sessions, only in memory: unsent forms, answers, notices.

A form that met a lock is kept for its person and comes back unsent, after each lock until it is accepted. An
answer is kept for the session that asked, so that its page can be shown again without another call. All of it
is limited in size, ends with the session or after an hour, and is gone when the server stops.
"""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
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
    `shown`: the session whose page has it since it came back, empty while it waits.
    """

    path: str
    pairs: tuple[tuple[str, str], ...] = field(repr=False)
    at_us: int
    files: tuple[str, ...] = field(default=(), repr=False)
    shown: str = ""


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
        """Drop everything of a session, and the forms that only its pages have."""
        with self._guard:
            found = self._shelves.pop(session, None)
            if found is not None:
                self._put(found.user, [one for one in self._kept(found.user) if one.shown != session])

    def keep_draft(self, user: str, draft: Draft) -> None:
        """Keep a person's unsent form, in place of an earlier one of that page."""
        with self._guard:
            self._put(user, [*(one for one in self._kept(user) if one.path != draft.path), draft])

    def drafts(self, user: str) -> list[Draft]:
        """A person's unsent forms that wait, newest first."""
        with self._guard:
            return [one for one in self._kept(user) if not one.shown][::-1]

    def take_draft(self, user: str, path: str, session: str) -> Draft | None:
        """A person's unsent form of a page, which that session's page now shows.

        It waits again if the session locks or ends (`return_drafts`) before the form is accepted or the page
        is fetched again (`end_draft`).
        """
        with self._guard:
            known = self._kept(user)
            found = next((one for one in known if one.path == path and not one.shown), None)
            if found is not None:
                others = [one for one in known if (one.path, one.shown) not in {(path, ""), (path, session)}]
                self._put(user, [*others, replace(found, shown=session)])
            return found

    def renew_draft(self, draft: Draft, user: str) -> None:
        """Keep what was typed last in a form that a session's page has since it came back."""
        with self._guard:
            known = self._kept(user)
            others = [one for one in known if (one.path, one.shown) != (draft.path, draft.shown)]
            if len(others) < len(known):
                self._put(user, [*others, draft])

    def return_drafts(self, user: str, session: str) -> None:
        """Let the forms that only a session's pages have wait again: it is locked, or has ended."""
        with self._guard:
            known = self._kept(user)
            waiting = {one.path for one in known if not one.shown}
            kept = [one for one in known if one.shown != session or one.path not in waiting]
            self._put(user, [replace(one, shown="") if one.shown == session else one for one in kept])

    def end_draft(self, user: str, path: str, session: str) -> None:
        """Drop the form that a session's page had: it was accepted, or the page was fetched again."""
        with self._guard:
            known = self._kept(user)
            self._put(user, [one for one in known if (one.path, one.shown) != (path, session)])

    def _kept(self, user: str) -> list[Draft]:
        """A person's unsent forms that have not expired, oldest first. The guard is held."""
        now_us = self._clock()
        return [one for one in self._drafts.get(user, []) if 0 <= now_us - one.at_us <= DRAFT_US]

    def _put(self, user: str, drafts: list[Draft]) -> None:
        """Store a person's forms; the oldest make room. The guard is held."""
        self._drafts.pop(user, None)
        if drafts:
            self._drafts[user] = drafts[-DRAFTS_A_PERSON:]
        while len(self._drafts) > SHELVES:
            self._drafts.popitem(last=False)
