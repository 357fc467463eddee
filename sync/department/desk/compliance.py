"""What is overdue at the department: audits, training, purges, silent units, findings, filings, holds.

No I/O.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from storage.counts import counted
from storage.ssh_signature import SshPublicKey
from storage.times import DAY_US, MINUTE_US, iso_text
from sync.department.desk.alerts.rules import AlertStates
from sync.department.desk.audit.rules import NOT_FILED, AlprRequest
from sync.department.desk.owed import Late, Overdue
from sync.department.desk.people import rules as people
from sync.department.desk.people import training
from sync.department.desk.people.on_roster import approvers_beside, one_approves
from sync.department.desk.redress.rules import due_us
from sync.department.desk.sharing import rules as sharing
from sync.department.desk.state import DeskState
from sync.department.ground.department_time import SET_CLOCK, Doubt, span_text
from sync.department.policy.policy import Policy
from sync.department.policy.roles import CALLS, Call, Role
from sync.department.store.incidents import StoredIncident

SET_BACK_DAYS = 30
CLAIM_DAYS = 2  # a claim is entered daily while it lasts
INCIDENT_DAYS = 7  # two people must close a log that contradicts its past within this time
EVIDENCE_DAYS = 30  # a hold is fulfilled by export and booking


def overdue(
    policy: Policy,
    book: DeskState,
    requests: Sequence[AlprRequest],
    now_us: int,
    *,
    user: str = "",
    roles: Collection[Role] = (),
) -> list[Overdue]:
    """Everything overdue that the log knows of. `user`, `roles`: the person whose covert alerts count too."""
    return [
        *_audits(policy, book, now_us),
        *_training(policy, book, now_us),
        *_passwords(policy, book, now_us),
        *_findings(book, now_us),
        *_reviewers(policy, book),
        *_approvers(policy, book, now_us),
        *_filings(policy, requests, now_us),
        *_shares(book, now_us),
        *_holds(book, now_us),
        *_emergencies(book, now_us),
        *_alerts(policy, book.alerts.known_to(user, roles), now_us),
        *_redress(book, now_us),
        *_without_answerer(policy),
        *_night_keys(book, now_us),
    ]


def open_incidents(listed: Iterable[StoredIncident], book: DeskState, now_us: int) -> list[Overdue]:
    """Incidents that two people have not closed in time."""
    return [
        Overdue(
            kind=Late.INCIDENT,
            clause="463.8",
            what=f"incident {one.number} ({one.kind}) of {iso_text(one.at_us, to='second')} is not closed "
            "by two people",
        )
        for one in listed
        if book.settled.words(one, book.signers.second)[1] is None
        and now_us - one.at_us >= INCIDENT_DAYS * DAY_US
    ]


def clocks(doubt: Doubt | None, now_us: int, newest_us: int) -> list[Overdue]:
    """A server clock that is not believed or is behind the log: which clock, how far, what to do."""
    if doubt is not None:
        paused = (
            "; it moved while the machine ran: it was set, or the machine was paused; a witness, or two "
            "units that sync, say within minutes if it is right"
        )
        reads, held = (iso_text(one, to="second") for one in (doubt.wall_us, doubt.held_us))
        what = (
            f"the server's clock reads {reads}, {span_text(doubt.by_us)} {doubt.direction} the confirmed "
            f"time: entries carry {held}, purges wait, and a call is refused as unsigned where a "
            f"session's clock differs from it by more than 10 minutes (log in again)"
            f"{paused if doubt.stepped else ''}; {SET_CLOCK}"
        )
    elif now_us < newest_us - MINUTE_US * 10:
        reads, newest = iso_text(now_us, to="second"), iso_text(newest_us, to="second")
        what = (
            f"the server's clock reads {reads}, {span_text(newest_us - now_us)} behind the newest entry "
            f"of the log ({newest}): every new entry carries that time until the clock has passed it; "
            f"{SET_CLOCK}"
        )
    else:
        return []
    return [Overdue(kind=Late.CLOCK, clause="463.8", what=what)]


def witness(policy: Policy, problem: str, *, fork: bool = False) -> list[Overdue]:
    """A log that no witness sees, from its start on, or that is not the log that the witness saw (`fork`)."""
    kind = Late.FORK if fork else Late.WITNESS
    return [Overdue(kind=kind, clause=policy.witness.clause, what=problem)] if problem else []


def claims(policy: Policy, book: DeskState, now_us: int) -> list[Overdue]:
    """What a single witness claims against the log without showing it. It is entered daily while it lasts."""
    return [
        Overdue(
            kind=Late.WITNESS,
            clause=policy.witness.clause,
            what=f"witness {name} claimed on {iso_text(entry.stamp.at_us, to='second')}, and did not show: "
            f"{entry.note.claim}; the others co-sign this log. Ask the office that runs it; it goes by: "
            f"department keys draft --without-witness {name}",
        )
        for name, entry in book.claims.items()
        if now_us - entry.stamp.at_us < CLAIM_DAYS * DAY_US
    ]


def keys_list(book: DeskState, now_us: int) -> list[Overdue]:
    """A key service's list that lacks lines that the log had seen. This is reported for a month."""
    if book.keys_set_back_us < 0 or now_us - book.keys_set_back_us >= SET_BACK_DAYS * DAY_US:
        return []
    since = iso_text(book.keys_set_back_us, to="second")
    what = (
        f"the key service's own list lacked lines on {since} that it had before: its disk was set back or "
        "replaced. Ask the office that runs it why; department verify names what is gone"
    )
    return [Overdue(kind=Late.KEYS, clause="463.5", what=what)]


def held(book: DeskState, count: Callable[[int], int]) -> list[Overdue]:
    """Open holds whose content is missing. `count`: how many reads of a hold are here, by its access
    entry."""
    return [
        Overdue(
            kind=Late.HOLD,
            clause="463.8",
            what=f"hold {entry.sequence}: {here} of its {counted(len(entry.note.reads), 'read')} are here; "
            "restore the folder of holds from its backup, then: department verify",
        )
        for entry in book.holds.open_holds()
        if (here := count(entry.note.access)) != len(entry.note.reads)
    ]


def _audits(policy: Policy, book: DeskState, now_us: int) -> list[Overdue]:
    ends = [entry.note.to_us for entry in book.findings.audits]
    due_us = max(ends, default=book.opened_us) + policy.audit.every_days * DAY_US
    if now_us < due_us:
        return []
    return [
        Overdue(
            kind=Late.AUDIT,
            clause=policy.audit.clause,
            what=f"periodic audit was due {iso_text(due_us, to='second')}",
        )
    ]


def _training(policy: Policy, book: DeskState, now_us: int) -> list[Overdue]:
    """People without current training who have a call that touches data."""
    found = []
    for user, account in sorted(book.roster.accounts.items()):
        roles = policy.effective_roles(account.roles)
        touches = any(CALLS[call].touches_data for call in policy.calls_by(roles))
        if not account.active or not touches or Role.VENDOR in roles:
            continue
        done = book.trainings.newest.get(user)
        if done is None:
            found.append(Overdue(kind=Late.TRAINING, clause="463.9", what=f"{user} was never trained"))
        elif now_us >= training.ends_us(policy, done):
            ended = iso_text(training.ends_us(policy, done), to="second")
            found.append(Overdue(kind=Late.TRAINING, clause="463.9", what=f"{user}: training ended {ended}"))
    return found


def _passwords(policy: Policy, book: DeskState, now_us: int) -> list[Overdue]:
    """People whose password now only lets them change it."""
    found = []
    for user, account in sorted(book.roster.accounts.items()):
        set_us = book.roster.credential_us.get(user)
        if not account.active or set_us is None or now_us <= people.expires_us(policy.security, set_us):
            continue
        ended = iso_text(people.expires_us(policy.security, set_us), to="second")
        what = f"{user}: the password ended {ended}: the person changes it (department user password)"
        found.append(Overdue(kind=Late.PASSWORD, clause="CJIS IA-5", what=what))
    return found


def _findings(book: DeskState, now_us: int) -> list[Overdue]:
    return [
        Overdue(
            kind=Late.FINDING,
            clause="463.5 (c)",
            what=f"finding {entry.sequence} ({entry.note.detector}) with {entry.note.reviewer} was due "
            f"{iso_text(entry.note.due_us, to='second')}",
        )
        for entry in book.findings.open_findings()
        if now_us >= entry.note.due_us
    ]


def _reviewers(policy: Policy, book: DeskState) -> list[Overdue]:
    """Findings that wait for a reviewer because theirs left or there was none."""
    waiting = [
        entry.sequence
        for entry in book.findings.open_findings()
        if not book.roster.may_review(policy, entry.note.reviewer)
    ]
    if not waiting:
        return []
    have, them = ("has", "it") if len(waiting) == 1 else ("have", "them")
    what = (
        f"{counted(len(waiting), 'finding')} {have} no reviewer, the first is {waiting[0]}: give a person "
        f"who is not concerned the role reviewer, who then closes {them}"
    )
    return [Overdue(kind=Late.REVIEWER, clause="463.5 (c)", what=what)]


def _approvers(policy: Policy, book: DeskState, now_us: int) -> list[Overdue]:
    """Warns that no one is left to approve what the administrator proposes.

    Until then no account that takes two people can be made or reset.
    """
    roster = book.roster
    for user in roster.holders(Role.ADMINISTRATOR):
        able = approvers_beside(policy, roster, user, now_us)
        if not able and people.has_approvers(policy, roster, user):
            return [Overdue(kind=Late.APPROVER, clause="463.4", what=one_approves(able, user))]
    return []


def _filings(policy: Policy, requests: Sequence[AlprRequest], now_us: int) -> list[Overdue]:
    limit = now_us - policy.audit.filing_due_days * DAY_US
    late = [one.entry for one in requests if one.rms_number == NOT_FILED and one.at_us <= limit]
    if not late:
        return []
    what = f"{counted(len(late), 'ALPR Request')} not filed in the RMS, the oldest is entry {late[0]}"
    return [Overdue(kind=Late.FILING, clause="463.5 (b)", what=what)]


def _emergencies(book: DeskState, now_us: int) -> list[Overdue]:
    return [
        Overdue(
            kind=Late.EMERGENCY,
            clause="463.5 (a)",
            what=f"emergency search {entry.note.access} of {entry.stamp.user} waits for a second person",
        )
        for entry in book.glass.overdue(now_us)
    ]


def _alerts(policy: Policy, alerts: AlertStates, now_us: int) -> list[Overdue]:
    """Alerts without an outcome, confirmations without CLETS, sources that went silent (463.7)."""
    terms = policy.alerts
    late, owed = alerts.overdue(terms, now_us), alerts.clets_owed(terms, now_us)
    found = []
    if late:
        have = "has" if len(late) == 1 else "have"
        what = f"{counted(len(late), 'alert')} {have} no outcome after {counted(terms.outcome_hours, 'hour')}"
        found.append(Overdue(kind=Late.ALERT, clause=terms.clause, what=what))
    if owed:
        have, after = "has" if len(owed) == 1 else "have", counted(terms.clets_minutes, "minute")
        what = f"{counted(len(owed), 'confirmed alert')} {have} no CLETS reference after {after}"
        found.append(Overdue(kind=Late.CLETS, clause=terms.clause, what=what))
    for one in alerts.sources():
        if one.muted(terms):
            what = f"list source {one.source} is silent: {one.rejected} of {one.checked} hits were rejected"
            found.append(Overdue(kind=Late.SOURCE, clause=terms.clause, what=what))
    return found


def _redress(book: DeskState, now_us: int) -> list[Overdue]:
    return [
        Overdue(
            kind=Late.REDRESS, clause="463.4", what=f"request {entry.sequence} of the public has no answer"
        )
        for entry in book.redress.waiting()
        if now_us >= due_us(entry)
    ]


def _without_answerer(policy: Policy) -> list[Overdue]:
    """Public requests that wait because the policy file, which is older than they are, lets no role answer
    them."""
    if any(Call.REDRESS_ANSWER in calls for calls in policy.grants.values()):
        return []
    what = "no role may answer requests of the public: sign a policy that grants redress.answer to an office"
    return [Overdue(kind=Late.REDRESS, clause="463.4", what=what)]


def _shares(book: DeskState, now_us: int) -> list[Overdue]:
    return [
        Overdue(
            kind=Late.SHARE, clause="463.6 (b)", what=f"sharing request {number} waits for review or decision"
        )
        for number, entry in book.shares.asked.items()
        if number not in book.shares.decided and sharing.is_late(entry.stamp.at_us, now_us)
    ]


def _night_keys(book: DeskState, now_us: int) -> list[Overdue]:
    """Keys for grants at night of people who are no longer designees.

    Units accept what they sign until the delegation ends. Those of a removed person end with the roster.
    """
    found = []
    for entry in book.grants.delegated.values():
        note = entry.note
        account = book.roster.accounts.get(note.designee)
        key = SshPublicKey.of_ed25519(Ed25519PublicKey.from_public_bytes(note.public_key)).fingerprint
        gone = account is not None and account.active and Role.DESIGNEE not in account.roles
        if gone and now_us < note.to_us and not {note.designee, key} & book.grants.revoked:
            what = (
                f"{note.designee} is no longer a designee, but units accept what that person's key for "
                f"grants at night signs until {iso_text(note.to_us, to='second')}: "
                f"department grant revoke {key}"
            )
            found.append(Overdue(kind=Late.GRANT, clause="463.3", what=what))
    return found


def _holds(book: DeskState, now_us: int) -> list[Overdue]:
    return [
        Overdue(kind=Late.HOLD, clause="463.8", what=f"hold {entry.sequence} is not booked into evidence")
        for entry in book.holds.open_holds()
        if entry.sequence not in book.holds.booked and now_us - entry.stamp.at_us >= EVIDENCE_DAYS * DAY_US
    ]
