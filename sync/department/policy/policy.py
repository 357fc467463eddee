"""The department's policy as frozen values, with the checks that span sections. No I/O."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import tzinfo

from storage.alert_terms import AlertTerms
from storage.counts import counted
from sync.department.ground.local_time import zone_of
from sync.department.policy.desk_terms import (
    Agreement,
    AuditTerms,
    BreakGlassTerms,
    DetectorTerms,
    InquiryTerms,
    PeopleTerms,
    RoleTerms,
    SharingTerms,
    TrainingTerms,
)
from sync.department.policy.refusals import DeskRefusal
from sync.department.policy.roles import CALLS, Call, Role
from sync.department.policy.system_terms import (
    RetentionTerms,
    SecurityTerms,
    SessionTerms,
    UnitTerms,
    WitnessTerms,
)
from sync.department.policy.term_base import Term, between, refuse

FORMAT = 1
FLOOR_DAYS = 365  # 463.8: "should be stored for 1 year"; less requires another manual
MANUAL = "463"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The signed policy file. A department may change every field within its ceiling."""

    format: int
    version: int
    department: str
    manual: str
    administrator: str
    time_zone: str
    purposes: tuple[Term, ...]
    roles: tuple[RoleTerms, ...]
    inquiry: InquiryTerms
    break_glass: BreakGlassTerms
    people: PeopleTerms
    audit: AuditTerms
    detectors: DetectorTerms
    sessions: SessionTerms
    security: SecurityTerms
    witness: WitnessTerms
    sharing: SharingTerms
    retention: RetentionTerms
    holds: tuple[Term, ...]
    training: TrainingTerms
    alerts: AlertTerms
    unit: UnitTerms

    def check(self) -> None:
        if self.format != FORMAT:
            raise refuse(f"format {self.format} is unknown, {FORMAT} is known", "format")
        between(self.version, 1, 1 << 31, "version")
        zone_of(self.time_zone)
        own = not self.manual.startswith(MANUAL) and not self.retention.clause.startswith(MANUAL)
        if self.retention.keep_days < FLOOR_DAYS and not own:
            raise refuse(
                f"{counted(self.retention.keep_days, 'day')} where 463.8 says a year: a department that "
                "keeps less names its own manual, and the clause in it",
                "retention.keep_days",
            )
        for where, names in (
            ("purposes", [one.id for one in self.purposes]),
            ("roles", [str(one.id) for one in self.roles]),
            ("holds", [one.id for one in self.holds]),
            ("sharing.agreements", [one.id for one in self.sharing.agreements]),
        ):
            if len(set(names)) != len(names):
                raise refuse("names one value twice", where)
        if not self.purposes or not self.holds:
            raise refuse("must not be empty", "purposes, holds")
        self.unit.check_roles(self.grants)
        for role in self.roles:
            for more in role.also:
                if more in {Role.ADMINISTRATOR, Role.REVIEWER, Role.CCAT_SUPERVISOR, role.id}:
                    raise refuse(f"{more} does not come with another role", f"roles.{role.id}.also")

    @property
    def zone(self) -> tzinfo:
        """The time zone of the department's shifts and of the days that people type."""
        return zone_of(self.time_zone)

    @property
    def grants(self) -> dict[Role, frozenset[Call]]:
        """The calls of each role."""
        return {role.id: frozenset(role.calls) for role in self.roles}

    def effective_roles(self, held: tuple[Role, ...]) -> tuple[Role, ...]:
        """The roles that a person holds and those that they include, each once."""
        also = {role.id: role.also for role in self.roles}
        found: dict[Role, None] = dict.fromkeys(held)
        for role in held:
            found.update(dict.fromkeys(also.get(role, ())))
        return tuple(found)

    def calls_by(self, roles: Iterable[Role]) -> set[Call]:
        """Every call that these roles may make by themselves, without the roles that they include."""
        grants = self.grants
        return {call for role in roles for call in grants.get(role, ())}

    def purpose(self, name: str) -> Term | None:
        return next((one for one in self.purposes if one.id == name), None)

    def hold_ground(self, name: str) -> Term | None:
        return next((one for one in self.holds if one.id == name), None)

    def agreement(self, name: str) -> Agreement | None:
        return next((one for one in self.sharing.agreements if one.id == name), None)

    def title(self, role: Role) -> str:
        return next((one.title for one in self.roles if one.id == role), str(role))

    def allowing_role(self, held: Iterable[Role], call: Call) -> Role:
        """The first of a person's roles that may make `call`. Raises DeskRefusal."""
        held = tuple(held)
        grants = self.grants
        for role in held:
            if call in grants.get(role, frozenset()):
                return role
        requests = call is Call.INQUIRY_RUN and any(
            Call.INQUIRY_REQUEST in grants.get(role, ()) for role in held
        )
        who = ", ".join(self.title(role) for role, calls in grants.items() if call in calls)
        cure = f"ask a person who may: {who}" if who else "ask the administrator"
        raise DeskRefusal(
            f"none of your roles may {CALLS[call].words}",
            code="role",
            clause=CALLS[call].clause,
            cure="request it: another person runs it" if requests else cure,
        )
