"""What a reviewer sees besides the accesses: refusals, failed logins, accounts, resets, approvals. No I/O.

Each entry of a kind that says who did what to whom gets a row, with its second person.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from storage.counts import counted
from storage.spreadsheet import csv_of_fields
from storage.times import iso_text
from sync.department.journal.entries import ASKED_FOR, ISSUED, KEPT, NOTES, REPLACED, Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """One event. `user`: who did it; `about`: whom or what it concerns; `second`: the second person, if
    any."""

    entry: int
    at_us: int
    date_time: str
    kind: str
    user: str
    role: str
    about: str
    second: str
    outcome: str
    detail: str = field(repr=False)


CSV_COLUMNS = ("entry", "date_time", "kind", "user", "role", "about", "second", "outcome", "detail")
NEVER = "never exported"
AUTHENTICATOR_WORDS = {
    "": "",
    KEPT: "the authenticator stays",
    ASKED_FOR: "a new authenticator, as its owner asked",
    REPLACED: "a new authenticator: another person had made the old one",
    ISSUED: "a new authenticator",
}
MADE_BY_TWO = frozenset({"account", "credential", "grant"})
_Said = tuple[str, str, str, str]  # about, second, outcome, detail
_ROWS: Mapping[str, tuple[str, Callable[[Any], _Said]]] = {
    "refused": ("refusal", lambda n: (n.call, "", n.code, n.clause)),
    "logon": ("login", lambda n: (n.user, "", "proven" if n.proven else n.reason, n.post)),
    "proof": ("fresh proof", lambda n: ("", "", n.how, n.credential_id.hex()[:16])),
    "session": ("session", lambda n: ("", "", n.how, "")),
    "account": (
        "account",
        lambda n: (n.user, "", "active" if n.active else "removed", f"{', '.join(n.roles)}; {n.reason}"),
    ),
    "designation": ("designation", lambda n: (n.user, "", f"ends {iso_text(n.ends_us, to='second')}", "")),
    "credential": (
        "credential",
        lambda n: (
            n.user,
            "",
            "reset by another" if n.first else "own password",
            AUTHENTICATOR_WORDS[n.authenticator],
        ),
    ),
    "person_key": (
        "signing key",
        lambda n: (n.user, "", "certified by the one before" if n.proof else "first key", n.scheme),
    ),
    "passkey": ("passkey", lambda n: (n.user, "", "set" if n.active else "removed", n.name)),
    "lockout_lifted": ("lockout lifted", lambda n: (n.user, "", "", n.reason)),
    "training": ("training", lambda n: (n.user, n.trainer, n.course, f"policy version {n.policy_version}")),
    "audit_begun": ("audit begun", lambda n: ("", "", "", f"{iso_text(n.from_us)} to {iso_text(n.to_us)}")),
    "change_proposed": ("change proposed", lambda n: (n.about, "", n.call, n.summary)),
    "change_decided": ("change decided", lambda n: (str(n.proposal), "", _word(n.granted), n.reason)),
    "change_used": ("change made", lambda n: (n.about, n.second, f"proposal {n.proposal}", "")),
    "proposed": ("search proposed", lambda n: ("", "", n.ground.number, n.ground.justification)),
    "approved": ("search decided", lambda n: (str(n.proposal), "", _word(n.granted), n.reason)),
    "approval_used": ("search approval used", lambda n: (str(n.proposal), "", "", "")),
    "search_ended": (
        "search by steps",
        lambda n: (str(n.access), "", n.how, f"{n.opened} of {n.of} opened, {n.found} found"),
    ),
    "glass_broken": ("emergency search", lambda n: (str(n.access), "", "", n.danger)),
    "glass_judged": (
        "emergency search judged",
        lambda n: (str(n.access), "", "justified" if n.justified else "not justified", n.reason),
    ),
    "share_reviewed": ("sharing reviewed", lambda n: (str(n.request), "", "", n.note)),
    "share_decided": ("sharing decided", lambda n: (str(n.request), "", _word(n.approved), n.note)),
    "hold_rests": ("hold rests on", lambda n: (str(n.access), "", ", ".join(map(str, n.searches)), "")),
    "release_asked": ("release asked", lambda n: (str(n.hold), "", n.evidence_item or NEVER, n.reason)),
    "released": ("hold released", lambda n: (str(n.hold), n.asked_by, n.evidence_item or NEVER, "")),
    "grant": (
        "grant",
        lambda n: (
            n.person,
            "",
            n.role,
            f"{n.purpose}; {n.work_order}; {' '.join(n.commands)}; by {n.signer} key",
        ),
    ),
    "grants_revoked": ("grants revoked", lambda n: (", ".join(n.names), "", "", n.reason)),
    "grant_delegated": ("grant delegated", lambda n: (n.designee, "", "", "")),
    "document_signed": ("document signed", lambda n: (n.name, "", n.digest.hex()[:16], n.unit)),
    "keys_list_seen": (
        "key service's list",
        lambda n: ("", "", counted(n.lines, "line"), n.digest.hex()[:16]),
    ),
    "detectors_ran": ("detectors ran", lambda n: ("", "", counted(n.opened, "finding"), "")),
    "document_sent": ("document offered", lambda n: (n.name, "", f"version {n.version}", n.unit)),
    "incident": (
        "incident",
        lambda n: (str(n.incident), "", "closed" if n.second else "first word", n.finding),
    ),
    "root_set": ("root file", lambda n: (f"version {n.version}", "", f"policy {n.policy_version}", "")),
    "clock_confirmed": ("clock confirmed", lambda n: (iso_text(n.wall_us, to="second"), "", "", n.reason)),
    "purge_allowed": ("backlog allowed", lambda n: (f"day {n.through}", "", "", n.reason)),
    "store_restored": (
        "store restored",
        lambda n: (f"backup of {n.backup}", "", counted(len(n.lost), "loss", "losses"), n.reason),
    ),
    "unit_code": ("unit code", lambda n: (n.name, "", "issued", "")),
    "unit_logs": ("logs of a unit", lambda n: (n.name, "", counted(len(n.logs), "log"), "")),
    "units_listed": ("units listed", lambda n: ("", "", counted(len(n.units), "unit"), "")),
    "unit_revoked": ("unit revoked", lambda n: (n.unit, "", "", n.reason)),
    "purge_asked": ("purge", lambda _n: ("", "", "what was due", "")),
    "closed_log": ("closed log", lambda n: (n.log[:16], "", counted(n.records, "record"), n.reason)),
    "reset_handed": ("reset receipt", lambda n: ("", "", n.digest.hex()[:16], "")),
    "administrator_named": ("administrator named", lambda n: (n.user, "two offices", "", "")),
    "witness_claimed": ("witness's claim", lambda n: (n.witness, "", "not shown", n.claim)),
    "witness_away": ("witness away", lambda n: ("", "", n.reason, "")),
    "redress_answered": ("redress answered", lambda n: (str(n.request), "", n.outcome, n.note)),
    "log_read": ("log read", lambda n: ("", "", str(n.count), "")),
}
EVENT_KINDS = tuple(kind for kind in NOTES if kind in _ROWS)
NAMES = tuple(sorted({name for name, _ in _ROWS.values()}))


def _word(yes: bool) -> str:
    return "approved" if yes else "refused"


def rows_of(entries: Iterable[Entry]) -> list[EventRow]:
    """A row for each entry, with the second person of an account, a credential or a grant.

    A trainer who also records the training is not a second person.
    """
    rows: list[EventRow] = []
    pending: tuple[str, str, str] = ("", "", "")
    for entry in entries:
        name, say = _ROWS[entry.note.KIND]
        about, second, outcome, detail = say(entry.note)
        if second == entry.stamp.user:
            second = ""
        if entry.note.KIND == "change_used":
            pending = (about, entry.stamp.user, second)
        elif entry.note.KIND in MADE_BY_TWO and pending[:2] == (about, entry.stamp.user):
            second, pending = pending[2], ("", "", "")
        rows.append(
            EventRow(
                entry=entry.sequence,
                at_us=entry.stamp.at_us,
                date_time=iso_text(entry.stamp.at_us, to="second"),
                kind=name,
                user=entry.stamp.user,
                role=entry.stamp.role,
                about=about,
                second=second,
                outcome=outcome,
                detail=detail,
            )
        )
    return rows


def csv_text(rows: Sequence[EventRow]) -> str:
    """The rows as CSV (RFC 4180)."""
    return csv_of_fields(CSV_COLUMNS, rows)
