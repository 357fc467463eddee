"""Whether the fresh proof that an entry names was made in its session, in logs of form 12 on. No I/O.

The stamp of an entry names a proof by its entry's number. That a call which needs a proof has one, and for it
alone, is judged with its signature; here, that each number names such a proof, and not another person's.
"""

from __future__ import annotations

from sync.department.desk.state import DeskState
from sync.department.journal.entries import JUDGED_DAILY, Entry, Logon, is_of
from sync.department.journal.person_entries import CODE, FreshProof
from sync.department.journal.proven_uses import words_of


class NamedProofs:
    """Entries in their order, and those that name a proof that their session does not have."""

    def __init__(self, problems: list[str]) -> None:
        """`problems`: gets what is wrong."""
        self._problems = problems
        self._sessions: dict[str, bytes] = {}  # of each proof, by its words

    def judge(self, entry: Entry, book: DeskState) -> None:
        """Take in an entry. `book`: of those before it."""
        words, session = entry.stamp.proven, entry.stamp.session
        if words and book.signers.form >= JUDGED_DAILY and self._sessions.get(words) != session:
            what = f"it names a proof that was not made in its session: {words}"
            self._problems.append(f"entry {entry.sequence}: {entry.note.KIND}: {what}")
        if is_of(entry, Logon) and entry.note.proven and entry.note.fresh:
            self._sessions[words_of(CODE, entry.sequence)] = entry.note.session
        elif is_of(entry, FreshProof):
            self._sessions[words_of(entry.note.how, entry.sequence)] = session
