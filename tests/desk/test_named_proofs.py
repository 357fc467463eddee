"""`verify` names an answer that was seen after its hours, and a proof that another session made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from desk_twins import GROUND, Department

from storage.times import DAY_US
from sync.department.desk.inquiry.forms import Answer, AskForm, Entered, RequestForm, RunForm
from sync.department.journal.entries import Entry, RequestAnswered
from sync.department.server.folded_log import FoldedLog


def named(entries: Sequence[Entry]) -> list[str]:
    folded = FoldedLog(())
    for entry in entries:
        folded.judge(entry)
    return folded.problems


def test_an_answer_seen_late_or_unanswered_and_a_proof_of_another_session_are_named(
    department: Department,
) -> None:
    query, officer = department.plate("8XYZ123"), department.logon("officer1")
    asked = department.call("inquiry/request", officer, AskForm(query=query, ground=GROUND))
    assert isinstance(asked, Entered)
    request = asked.entry
    comm = department.logon("comm1")
    department.call("inquiry/run", comm, RunForm(query=query, ground=GROUND, request=request))
    seen = department.call("inquiry/answer", officer, RequestForm(request=request))
    assert isinstance(seen, Answer)
    entries = list(department.desk.log.entries())
    at, look = seen.access, entries[seen.access]
    assert named(entries) == []
    late = replace(look, stamp=replace(look.stamp, at_us=look.stamp.at_us + 8 * DAY_US))
    assert named([*entries[:at], late]) == [f"entry {at}: access: answers can be seen for 168 hours"]
    answers = RequestAnswered.KIND
    assert named([one for one in entries[: at + 1] if answers != one.note.KIND]) == [
        f"entry {at}: access: its request had no answer"
    ]
    proven = next(one for one in reversed(entries) if one.stamp.proven)
    others = next(one.stamp.proven for one in entries if one.stamp.proven not in {"", proven.stamp.proven})
    for words in (others, "password and code, entry 3", "passkey, entry 7", "of its own words"):
        forged = replace(proven, stamp=replace(proven.stamp, proven=words))
        (wrong,) = named([*entries[: proven.sequence], forged])
        assert wrong.endswith(f"it names a proof that was not made in its session: {words}")
