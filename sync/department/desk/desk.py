"""The one way in for every call. It checks the person, the right and the training, then enters, then asks the
witness.

`Desk.act` is one transaction: newest state, session (open, not locked), role, training if the call touches
data, then the call's own decision, then its entries. A refusal is an entry too. `Desk.covered` has the entry
co-signed before anything leaves. While the witness is away, answers are marked as unwitnessed, for the
policy's grace at most; if the witness refuses, there is no answer.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn, TypeAlias, TypeVar

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from storage.cosigners import Witnesses
from storage.counts import counted
from storage.errors import CheckpointError, ForkedLogError, RecordError, StorageError
from storage.times import DAY_US, MINUTE_US, SECOND_US, now_us
from sync.department.content.key_door import Cover
from sync.department.desk import proofs, sessions
from sync.department.desk.changes import rules as changes
from sync.department.desk.changes.rules import ChangeForm, WantedChange
from sync.department.desk.grants.rules import demand_grant
from sync.department.desk.log_state import FOLDER, LogState, root_entry, system_stamp
from sync.department.desk.logons import Logons
from sync.department.desk.people import rules as people
from sync.department.desk.people.on_roster import acts_alone, demand_approver, demand_someone
from sync.department.desk.people.training import demand_current
from sync.department.desk.sessions import Session
from sync.department.ground.department_time import DepartmentTime
from sync.department.journal.access_log import AccessLog
from sync.department.journal.change_entries import ChangeProposed, ChangeUsed
from sync.department.journal.entries import (
    NEWEST_FORM,
    AccessLogOpened,
    Entry,
    LogRead,
    Refused,
    SessionEnded,
    WitnessAway,
    WitnessClaimed,
)
from sync.department.journal.entry_base import Note, Stamp
from sync.department.journal.marking import mark_unwitnessed
from sync.department.journal.passkeys import ProvenUse
from sync.department.journal.publisher import Covered, Publisher, WitnessLinks
from sync.department.policy.policy_file import checked_policy
from sync.department.policy.refusals import (
    DeskRefusal,
    FormError,
    FreshProofError,
    NotProvenError,
    NotYetError,
)
from sync.department.policy.roles import CALLS, Call, Role
from sync.errors import LinkError
from sync.root_file import describe, open_first

log_events = structlog.get_logger("department.desk")
T = TypeVar("T")
Plan: TypeAlias = tuple[Sequence[Note], Callable[[list[Entry]], T]]
"""What a call decided: the notes to enter, and what to make of their entries."""

NAME_WITNESS = "the administrator has one made and names it: see Set-up"
FORKED = (
    "Stop the server and keep a copy of HOME/desk and of the witness's newest checkpoint: both are evidence. "
    "department verify says what is gone. If a backup was put back, the newer log has to come back; if two "
    "copies of this department ran, only one may continue"
)
LONGEST_REASON = 400  # characters of what an absence's entry says: what is wrong, what to do


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """A person who is proven, for one call: the role that allows it, and when. `proven`: as in the stamp."""

    user: str
    role: Role
    roles: tuple[Role, ...]
    organisation: str
    session: bytes
    at_us: int
    demo: bool
    proven: str

    def stamp(self) -> Stamp:
        return Stamp(
            at_us=self.at_us,
            user=self.user,
            role=self.role.value,
            organisation=self.organisation,
            session=self.session,
            demo=self.demo,
            proven=self.proven,
        )


class Desk(LogState):
    """One department's desk over its access log."""

    def __init__(
        self, home: Path, key: Ed25519PrivateKey, links: WitnessLinks, *, clock: Callable[[], int] = now_us
    ) -> None:
        """Open the desk of a home made by `create`. Raises HomeError, and StorageError for a changed log."""
        self._links = links
        self._fork = ""
        self._asked = False  # whether a witness was asked since the desk opened
        try:
            super().__init__(home, key, clock=clock)
        except BaseException:
            links.close()
            raise
        self._publisher = Publisher(self.log, home / FOLDER)
        self.logons = Logons(self)

    @classmethod
    def create(
        cls,
        home: Path,
        key: Ed25519PrivateKey,
        links: WitnessLinks,
        *,
        root_file: bytes,
        policy_document: bytes,
        clock: Callable[[], int] = now_us,
    ) -> Desk:
        """Create a log whose first entries are its key and the root file. Raises what the checks of both
        raise."""
        root = open_first(root_file, describe(root_file)[0].digest())
        policy = checked_policy(root, policy_document)
        AccessLog.create(home / FOLDER, key).close()
        log = AccessLog(home / FOLDER, key)
        stamp = system_stamp(root, clock())
        with log.writing():
            log.append(
                AccessLogOpened(
                    public_key=key.public_key().public_bytes_raw(),
                    root_digest=root.digest(),
                    signs=NEWEST_FORM,
                ),
                stamp,
            )
            log.append(root_entry(root, root_file, policy, policy_document), stamp)
        log.close()
        return cls(home, key, links, clock=clock)

    def close(self) -> None:
        self._publisher.close()
        self._links.close()
        self.throttle.close()
        self.log.close()

    # calls ------------------------------------------------------------------------------------------------

    def act(self, token: str, call: Call, decide: Callable[[Caller], Plan[T]], *, touch: bool = True) -> T:
        """Make one call. `decide` returns the notes to enter and what to make of the entries; it may refuse.

        `touch`: whether the session counts as used; a stream's own calls do not keep it open. Raises
        DeskRefusal, after entering the refusal.
        """
        refusal: DeskRefusal | None = None
        with self.deciding() as moment:
            session = sessions.find(self.book.sessions, token)
            try:
                caller = self._caller(session, call, moment.at_us)
                notes, finish = decide(caller)
                asked = proofs.demanded()
                if asked and not caller.proven:  # last, since a refused call needs no proof
                    raise self.unproven(session.digest, asked)
            except (DeskRefusal, RecordError) as error:
                refusal = error if isinstance(error, DeskRefusal) else _malformed(call, error)
                account = self.book.roster.accounts.get(session.user)
                stamp = self.stamp_of(account, moment.at_us, session.digest)
                if refusal.code == "session-locked" and not session.locked:
                    self.add(SessionEnded(session=session.digest, how="locked", totp_step=0), stamp)
                if refusal.code == "session-over":
                    self.add(SessionEnded(session=session.digest, how="ended", totp_step=0), stamp)
                self.add(Refused(call=call.value, code=refusal.code, clause=refusal.clause), stamp)
            else:
                if touch:
                    self.log.touch(session.digest, moment.at_us)
                return finish([self.add(note, caller.stamp()) for note in notes])
        raise refusal

    def show(self, token: str, call: Call, look: Callable[[Caller], tuple[LogRead, T]]) -> T:
        """Make a call that only reads. Its entry is co-signed before the answer leaves.

        `look` returns the entry and the answer; it may refuse. Raises what `act` and `covered` raise.
        """

        def plan(caller: Caller) -> Plan[tuple[int, T]]:
            note, shown = look(caller)
            return [note], lambda made: (made[0].sequence, shown)

        sequence, shown = self.act(token, call, plan)
        self.covered(sequence)
        return shown

    def unproven(self, session: bytes, use: ProvenUse) -> FreshProofError:
        """The refusal of a call that lacks a fresh proof. Its person can now give the proof for just this
        call."""
        self.logons.challenges.ask(session, use)
        others = {one.use.use for one in self.book.sessions.open[session].proofs if one.use is not None}
        return FreshProofError.within(
            self.policy.sessions.proof_minutes, proof=use.name, others=sorted(others)
        )

    def demand(self, token: str, call: Call, *, trained: bool = False) -> Caller:
        """Check the role ahead of a call. Enters only a refusal. `trained`: check training too. Raises
        DeskRefusal."""

        def plan(caller: Caller) -> Plan[Caller]:
            if trained:
                self.demand_trained(caller)
            return [], lambda _entries: caller

        return self.act(token, call, plan)

    def demand_trained(self, caller: Caller) -> None:
        """Check the training of a person who handles a plate or reads (463.3). Raises DeskRefusal.

        This is for calls that do not always need training.
        """
        demand_current(self.policy, self.book.trainings, caller.user, caller.at_us, held=caller.roles)

    def refuse(self, token: str, call: Call, refusal: DeskRefusal) -> NoReturn:
        """Enter a refusal that was decided before `act`, and raise it."""

        def decide(_caller: Caller) -> Plan[None]:
            raise refusal

        self.act(token, call, decide)
        raise refusal

    def still(self, token: str, call: Call) -> Caller:
        """Check that a session may continue a call that it began. Makes no entry and does not count as use.

        Raises DeskRefusal.
        """
        with self.deciding() as moment:
            return self._caller(sessions.find(self.book.sessions, token), call, moment.at_us)

    def second_person(
        self,
        caller: Caller,
        call: str,
        form: ChangeForm,
        *,
        about: str,
        summary: str,
        needed: bool = True,
        alone: bool = False,
        instead: str = "",
    ) -> ChangeProposed | list[ChangeUsed]:
        """Apply `changes.second_person` to a call that is decided now. The approval must still count now."""
        wanted = WantedChange(
            call=call,
            about=about,
            summary=summary,
            user=caller.user,
            now_us=caller.at_us,
            instead=instead,
        )
        known = self.book.changes, self.book.roster
        made = changes.second_person(self.policy, *known, form, wanted, needed=needed, alone=alone)
        if isinstance(made, ChangeProposed):
            lonely = acts_alone(self.policy, self.book.roster, self.book.signers, caller.user)
            demand_someone(self.policy, self.book.roster, caller.user, about, caller.at_us, alone=lonely)
            return made
        for one in made:
            given = Call.CHANGE_APPROVE, one.proposal, one.second
            demand_approver(self.book.signers.second, *given, changes.CLAUSE)
        return made

    def follow_up(self, stamp: Stamp, *notes: Note) -> list[Entry]:
        """Enter how a call ended, under that call's stamp with the current time, organisation and role."""
        with self.deciding() as moment:
            account = self.book.roster.accounts.get(stamp.user)
            organisation = account.organisation if account else stamp.organisation
            held = self.policy.effective_roles(self.book.roster.roles_of(stamp.user, moment.at_us))
            role = stamp.role if stamp.role in held or not held else held[0].value
            later = replace(stamp, at_us=moment.at_us, organisation=organisation, role=role)
            return [self.add(note, later) for note in notes]

    def _caller(self, session: Session, call: Call, at_us: int) -> Caller:
        last = self.log.last_used(session.digest) or 0
        sessions.demand_open(self.policy, session, last, at_us)
        account = self.book.roster.accounts.get(session.user)
        if account is None or not account.active:
            raise NotProvenError("this account was removed", code="no-account", clause="463.3")
        credential = self.book.roster.credentials.get(account.user)
        if call is not Call.POLICY_READ and (credential is None or credential.first):
            raise NotYetError(
                "this password was made by another person: set your own first",
                code="first-password",
                clause="CJIS IA-5",
                cure="set it under My account, or with: department user password",
            )
        if call is not Call.POLICY_READ:
            known = self.credential(account.user)
            people.demand_approved(self.policy.security, known)
            people.demand_in_date(self.policy.security, known.set_us if known else 0, at_us)
        roles = self.policy.effective_roles(self.book.roster.roles_of(account.user, at_us))
        role = self.policy.allowing_role(roles, call)
        if Role.VENDOR in roles and call is not Call.POLICY_READ:
            demand_grant(self.book.grants, account.user, at_us)
        if CALLS[call].touches_data:
            demand_current(self.policy, self.book.trainings, account.user, at_us, held=roles)
        return Caller(
            user=account.user,
            role=role,
            roles=roles,
            organisation=account.organisation,
            session=session.digest,
            at_us=at_us,
            demo=self.root.demo,
            proven=sessions.fresh_proof(self.policy, session, at_us, proofs.provable()),
        )

    # the witness ------------------------------------------------------------------------------------------

    def covered(self, sequence: int) -> Cover:
        """Have the log co-signed past an entry. Raises NotYetError if the answer must not leave."""
        witnesses = self.root.witnessing()
        if witnesses is None:
            raise NotYetError(
                "the root file names no witness, so no answer leaves",
                code="no-witness",
                clause=self.policy.witness.clause,
                cure=NAME_WITNESS,
            )
        try:
            head = self._covered_head(sequence, witnesses)
            self._enter_claims(head.claims)
            return self._cover(sequence, head.size, head.note, unwitnessed=False)
        except ForkedLogError as error:
            raise NotYetError(
                error.what, code="forked", clause=self.policy.witness.clause, cure=error.cure
            ) from None
        except (LinkError, CheckpointError) as error:
            if self._fork:  # a witness that goes away afterwards has not withdrawn it
                raise NotYetError(
                    self._fork, code="forked", clause=self.policy.witness.clause, cure=FORKED
                ) from None
            return self._in_grace(sequence, error)

    def _covered_head(self, sequence: int, witnesses: Witnesses) -> Covered:
        """The co-signed head past an entry; a fork is kept for `fork`. Raises as `Publisher.cover` does."""
        try:
            head = self._publisher.cover(sequence, witnesses, self._links.watchers(self.root))
        except ForkedLogError as error:
            self._fork = error.what
            raise
        if head.fresh:  # otherwise its time and its fork are from an earlier answer
            self._asked, self._fork = True, ""
            self._confirm(head.time_s)
        return head

    def look_for_fork(self) -> None:
        """Have the rest of the log co-signed, or ask once if all of it is. Enters nothing, and begins no
        absence."""
        witnesses = self.root.witnessing()
        if witnesses is None:
            return
        with contextlib.suppress(LinkError, StorageError):
            self._covered_head(self.log.size() - 1, witnesses)
        if not self._asked:  # a log that was set back may be co-signed to its end
            self.ask_time()

    @property
    def fork(self) -> str:
        """How the witness's log differs from this one, as the witness last said; empty if it has signed
        since."""
        return self._fork

    def ask_time(self) -> None:
        """Ask the witnesses for the time, which confirms the clock or puts it in doubt.

        A witness that saw another log says so. One that is away is ignored.
        """
        witnesses = self.root.witnessing()
        if witnesses is None:
            return
        self._asked = True
        try:
            self._confirm(self._publisher.ask_time_s(witnesses, self._links.watchers(self.root)))
        except ForkedLogError as error:
            self._fork = error.what
        except (LinkError, StorageError):
            return

    def _confirm(self, time_s: int) -> None:
        if isinstance(self._clock, DepartmentTime):
            self._clock.confirm(time_s * SECOND_US, "witness")

    def _enter_claims(self, claims: Sequence[tuple[str, str]]) -> None:
        """Enter, once a day, what a single witness claims without showing it. Compliance lists it."""
        for name, claim in claims:
            log_events.warning("witness_claims", witness=name, claim=claim)
            with self.deciding() as moment:
                known = self.book.claims.get(name)
                if known is None or moment.at_us - known.stamp.at_us >= DAY_US:
                    note = WitnessClaimed(witness=name, claim=claim[:LONGEST_REASON])
                    self.add(note, system_stamp(self.root, moment.at_us))

    def witness_problem(self) -> str:
        """Why the log is not co-signed now, and what to do; empty while it is, as far as this desk knows."""
        signed, away = self.log.cosigned()[0], self.book.away
        if self.root.witnessing() is None:
            return f"the root file names no witness: no answer leaves. {NAME_WITNESS}"
        if self._fork:
            return f"this log is not the one that was co-signed: {self._fork}. No answer leaves. {FORKED}"
        if away is not None and signed <= away.sequence:
            return away.note.reason
        return "" if signed else "no witness has signed this log yet"

    def try_cover(self, sequence: int) -> None:
        """Do as `covered` does for a call without an answer: a witness that is away gets the entry with the
        next answer."""
        with contextlib.suppress(NotYetError):
            self.covered(sequence)

    def _in_grace(self, sequence: int, error: Exception) -> Cover:
        with self.deciding() as moment:
            known: Entry | None = self.book.away
            if known is None or self.log.cosigned()[0] > known.sequence:
                known = self.add(
                    WitnessAway(reason=str(error)[:LONGEST_REASON]), system_stamp(self.root, moment.at_us)
                )
            away_us = moment.at_us - known.stamp.at_us
            grace = self.policy.witness.grace_minutes
            if not 0 <= away_us < grace * MINUTE_US:
                raise NotYetError(
                    f"the witness has been away for more than {counted(grace, 'minute')}: no answer leaves",
                    code="witness-away",
                    clause=self.policy.witness.clause,
                    cure="restore the witness, then try again; the entry stays",
                )
            mark_unwitnessed()
            size = self.log.size()
            return self._cover(sequence, size, self.log.signed_head(size), unwitnessed=True)

    def _cover(self, sequence: int, size: int, note: str, *, unwitnessed: bool) -> Cover:
        leaf, opened = self.log.opening(sequence)
        return Cover(
            leaf=leaf,
            sequence=sequence,
            salt=opened.salt,
            content=opened.content,
            size=size,
            inclusion=tuple(self.log.inclusion(sequence, size)),
            checkpoint=note,
            unwitnessed=unwitnessed,
        )


def _malformed(call: Call, error: RecordError) -> FormError:
    """The refusal of a malformed value, which is entered with the clause of its call like any other."""
    return FormError(str(error), code="form", clause=CALLS[call].clause)
