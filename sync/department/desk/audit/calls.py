"""Audits at the desk: read the log, run the periodic audit, review findings (463.5 (b), (c))."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from storage.times import DAY_US, iso_text
from sync.department.desk.audit import detectors, rules
from sync.department.desk.audit.detector_inputs import Detecting
from sync.department.desk.audit.detectors import RULES
from sync.department.desk.audit.look_up_detectors import Flag
from sync.department.desk.audit.rules import AlprRequest, AuditFilter
from sync.department.desk.context import DeskContext
from sync.department.desk.desk import Caller, Desk, Plan
from sync.department.desk.inquiry.calls import read_log
from sync.department.desk.inquiry.forms import Entered, NothingForm, first_entered
from sync.department.desk.log_state import system_stamp
from sync.department.journal.concerned import concerned, people_in
from sync.department.journal.entries import (
    AuditBegun,
    AuditDone,
    CredentialSet,
    Entry,
    EntryOf,
    FindingClosed,
    FindingOpened,
    LogRead,
)
from sync.department.journal.inquiry_entries import Access
from sync.department.journal.machine_entries import DetectorsRan
from sync.department.journal.query_rules import asked_plate
from sync.department.policy.refusals import FormError, NotYetError
from sync.department.policy.roles import Call

FOREVER_US = (1 << 53) - 1  # the largest integer that JSON carries exactly; the year 2255


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditForm:
    """Which accesses to read: a period, a user, a purpose, a plate. What is empty selects all.

    `user`: who ran the access, or in whose name. `plate`: what the search asks for, also as a likely
    misreading or by wildcards; a search only by place or unit asks for no plate.

    `finding`: only those of that finding, for its reviewer; -1 for any.
    """

    since_us: int = 0
    until_us: int = FOREVER_US
    user: str = ""
    purpose: str = ""
    plate: str = field(default="", repr=False)
    finding: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodForm:
    """The period of an audit. It ends now by default, and starts where the last audit ended."""

    since_us: int = -1
    until_us: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditCloseForm:
    """A finding's verdict (justified, unclear, misuse) and what was found."""

    finding: int
    verdict: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditReport:
    """A periodic audit: its entry, how many accesses it examined, the findings it opened."""

    audit: int
    from_us: int
    to_us: int
    accesses: int
    findings: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A finding with its state.

    `reviewer`: empty while it waits for one; `reason`: why it was disputed; `note`: what its reviewer found.
    """

    finding: int
    detector: str
    about: str
    accesses: tuple[int, ...]
    reviewer: str
    opened_us: int
    due_us: int
    detail: str
    reason: str = field(repr=False)
    verdict: str
    note: str = field(repr=False)


def read(front: DeskContext, token: str, form: AuditForm) -> tuple[AlprRequest, ...]:
    """Read ALPR Requests from the log. Reading them makes an entry too."""
    wanted = [
        AuditFilter(
            since_us=form.since_us,
            until_us=form.until_us,
            user=form.user,
            purpose=form.purpose,
            plate=asked_plate(form.plate),
        )
    ]

    def check() -> None:
        rules.demand_period(form.since_us, form.until_us)
        if form.finding >= 0:
            of = rules.entries_of(front.desk.book.findings, form.finding)
            wanted.append(replace(wanted[0], entries=frozenset(of)))

    period = f"from={iso_text(form.since_us)}"
    period += f" to={iso_text(form.until_us)}" if form.until_us < FOREVER_US else ""
    elements = f"user={form.user} purpose={form.purpose} plate={wanted[0].plate} {period}"
    return read_log(
        front,
        token,
        Call.AUDIT_READ,
        elements + (f" finding={form.finding}" if form.finding >= 0 else ""),
        lambda one, _user: bool(rules.pick([one], wanted[-1])),
        check=check,
        audits=True,
    )


def unfiled(front: DeskContext, token: str, form: NothingForm) -> tuple[AlprRequest, ...]:  # noqa: ARG001
    """List every ALPR Request without an RMS number, for the hand-over to the RMS (463.5 (b)). This makes an
    entry."""
    return read_log(
        front, token, Call.RMS_FILE, "not filed", lambda one, _user: one.rms_number == rules.NOT_FILED
    )


def run(front: DeskContext, token: str, form: PeriodForm) -> AuditReport:
    """Run the periodic audit: run the detectors over the whole log, sample the period, give each finding a
    reviewer."""
    desk = front.desk

    def begin(caller: Caller) -> Plan[Entry]:
        ends = (one.note.to_us for one in desk.book.findings.audits)
        audited_to = max(ends, default=desk.book.opened_us)
        since = form.since_us if form.since_us >= 0 else audited_to
        until = form.until_us if form.until_us >= 0 else caller.at_us
        if not 0 <= since <= until <= caller.at_us:
            raise FormError(
                "the period must end after it begins, and be over", code="time", clause="463.5 (c)"
            )
        if since > audited_to:
            raise FormError(
                f"lookups from {iso_text(audited_to)} to {iso_text(since)} would be in no audit",
                code="gap",
                clause="463.5 (c)",
                cure="begin no later than the last audit ended, or leave the beginning out",
            )
        if (begun := desk.book.findings.begun) is not None:
            _demand_same(begun, form)
            return [], lambda _entries: begun
        return [AuditBegun(from_us=since, to_us=until)], lambda made: made[0]

    begun = desk.act(token, Call.AUDIT_RUN, begin)
    since, until = _period_of(begun)
    _demand_witnessed(desk, begun.sequence)
    size, seed = desk.log.size(), detectors.seed_of(begun, desk.log.first_salt(CredentialSet.KIND))
    requests = front.requests.of(desk.log, size)  # outside the transaction
    looks = rules.look_ups_of(requests)
    inside = [one for one in looks if one.sequence < begun.sequence and since <= one.at_us <= until]
    sample = detectors.sample(inside, desk.policy.audit.sample_per_thousand, seed)
    detecting = Detecting(desk, requests)

    def plan(caller: Caller) -> Plan[list[Entry]]:
        if desk.book.findings.begun != begun:  # two runs of one audit would have no order
            raise NotYetError(
                "another person has finished this audit meanwhile",
                code="audited",
                clause="463.5 (c)",
                cure="see Findings; run the audit again for what came since",
            )
        fresh = [
            *detecting.fresh(caller.at_us),
            *rules.new_findings(desk.book.findings, sample),
        ]
        opened = assign(desk, fresh, caller.at_us)
        first = desk.log.size()
        done = AuditDone(
            from_us=since,
            to_us=until,
            accesses=sum(since <= one.at_us <= until for one in requests),
            findings=tuple(range(first, first + len(opened))),
            tree_size=size,
            begun=begun.sequence,
        )
        return [*opened, done], list

    made = desk.act(token, Call.AUDIT_RUN, plan)
    done = made[-1].note
    if not isinstance(done, AuditDone):
        raise TypeError("an audit ends in its own entry")
    desk.covered(made[-1].sequence)
    return AuditReport(
        audit=made[-1].sequence,
        from_us=done.from_us,
        to_us=done.to_us,
        accesses=done.accesses,
        findings=done.findings,
    )


def _period_of(begun: Entry) -> tuple[int, int]:
    if not isinstance(begun.note, AuditBegun):
        raise TypeError("an audit begins in its own entry")
    return begun.note.from_us, begun.note.to_us


def _demand_same(begun: Entry, form: PeriodForm) -> None:
    """Refuse another period while an audit is unfinished. Raises FormError.

    Otherwise a person could draw samples until one suits.
    """
    since, until = _period_of(begun)
    if form.since_us in {-1, since} and form.until_us in {-1, until}:
        return
    raise FormError(
        f"an audit from {iso_text(since)} to {iso_text(until)} was begun and not finished",
        code="begun",
        clause="463.5 (c)",
        cure="run the audit without a period: it resumes from there",
    )


def _demand_witnessed(desk: Desk, sequence: int) -> None:
    """Refuse to draw a sample before a witness has signed the audit's beginning. Raises NotYetError."""
    if desk.covered(sequence).unwitnessed:
        raise NotYetError(
            "the witness does not answer, and no sample is drawn before it has signed the beginning",
            code="witness-away",
            clause=desk.policy.witness.clause,
            cure="run the audit again when the witness answers: it resumes from there",
        )


def look_daily(front: DeskContext) -> list[int]:
    """Open findings for what the detectors see today, so that a fifth lookup of a plate does not wait for an
    audit.

    The system makes these entries; the periodic audit checks everything again and takes its sample. Without a
    reviewer, a finding waits for one. A run that had lookups to judge, or opened a finding, is an entry, by
    which `verify` judges it (`server/detector_runs.py`).
    """
    desk = front.desk
    detecting = Detecting(desk, front.requests.of(desk.log))  # outside the transaction
    with desk.deciding() as moment:
        fresh, ran = detecting.fresh(moment.at_us), desk.book.findings.ran
        opened = assign(desk, fresh, moment.at_us, waits=True)
        stamp = system_stamp(desk.root, moment.at_us)
        entries = [desk.add(one, stamp) for one in opened]
        if opened or next(desk.log.entries(ran + 1, kinds=(Access.KIND,)), None) is not None:
            desk.add(DetectorsRan(rules=RULES, opened=len(opened)), stamp)
    return [entry.sequence for entry in entries]


def _concerned(desk: Desk, about: str, entries: Sequence[int]) -> set[str]:
    return concerned(about, (people_in(desk.log.entry(number)) for number in entries))


def assign(desk: Desk, flags: list[Flag], now_us: int, *, waits: bool = False) -> list[FindingOpened]:
    """Assign each flag a reviewer whom it does not concern, the least busy first.

    `waits`: open a finding without a reviewer if there is none. Raises NotYetError.
    """
    load: Counter[str] = Counter(entry.note.reviewer for entry in desk.book.findings.open_findings())
    opened = []
    for flag in flags:
        accesses = flag.entries[:1000]
        try:
            reviewer = rules.reviewer_for(desk.book.roster, load, _concerned(desk, flag.about, accesses))
        except NotYetError:
            if not waits:
                raise
            reviewer = ""
        load[reviewer] += 1
        opened.append(
            FindingOpened(
                detector=flag.detector,
                about=flag.about,
                accesses=accesses,
                reviewer=reviewer,
                due_us=now_us + desk.policy.audit.finding_due_days * DAY_US,
                detail=flag.detail,
            )
        )
    return opened


def findings(front: DeskContext, token: str, form: NothingForm) -> tuple[Finding, ...]:  # noqa: ARG001
    """List all findings, open ones first."""
    desk = front.desk

    def look(_caller: Caller) -> tuple[LogRead, tuple[Finding, ...]]:
        shown = [_finding(desk, entry) for entry in desk.book.findings.opened.values()]
        shown.sort(key=lambda one: (bool(one.verdict), one.due_us, one.finding))
        return LogRead(elements="findings", count=len(shown)), tuple(shown)

    return desk.show(token, Call.AUDIT_READ, look)


def _finding(desk: Desk, entry: EntryOf[FindingOpened]) -> Finding:
    note = entry.note
    closed = desk.book.findings.closed.get(entry.sequence)
    end = closed.note if closed is not None else None
    disputes = desk.book.queue.disputes if note.detector == rules.DISPUTED else ()
    reasons = (
        one.note.reason
        for one in disputes
        if one.note.entry in note.accesses and (closed is None or one.sequence < closed.sequence)
    )
    return Finding(
        finding=entry.sequence,
        detector=note.detector,
        about=note.about,
        accesses=note.accesses,
        reviewer=note.reviewer if desk.book.roster.may_review(desk.policy, note.reviewer) else "",
        opened_us=entry.stamp.at_us,
        due_us=note.due_us,
        detail=note.detail,
        reason="; ".join(dict.fromkeys(reasons)),
        verdict=end.verdict if end else "",
        note=end.note if end else "",
    )


def close(front: DeskContext, token: str, form: AuditCloseForm) -> Entered:
    """Close a finding that is assigned to the caller."""
    desk = front.desk

    def plan(caller: Caller) -> Plan[Entered]:
        rules.to_close(desk.book.findings, form.finding, caller.user, form.verdict, form.note)
        _demand_reviewer(desk, form.finding, caller.user)
        note = FindingClosed(finding=form.finding, verdict=form.verdict, note=form.note)
        return [note], first_entered

    return desk.act(token, Call.AUDIT_REVIEW, plan)


def _demand_reviewer(desk: Desk, number: int, user: str) -> None:
    """Check that the caller is the reviewer, or may act for one. Raises DeskRefusal."""
    note = desk.book.findings.opened[number].note
    people = _concerned(desk, note.about, note.accesses)
    rules.demand_reviewer(desk.policy, desk.book.roster, note, people, user)
