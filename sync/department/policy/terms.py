"""The department's policy as data: a TOML file with clause numbers, parsed once into frozen values. No I/O.

Section 463 is the default (`policy-463.toml`). `parse` refuses unknown, missing and mistyped fields, and
every value beyond a ceiling that no department's policy may pass. The file is in force only when the root
file names its version and SHA-256 (`root_file.py`).
"""

from __future__ import annotations

import functools
import hashlib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import tzinfo
from importlib import resources
from typing import Any

from storage.alert_terms import AlertTerms
from storage.codec import from_plain
from storage.errors import RecordError
from storage.policy import MAX_ZONES, NoReadZone
from sync.department.ground.local_time import fixed_name, zone_of
from sync.department.policy.roles import Call, Role, check_ceiling

FORMAT = 1
MAX_POLICY_BYTES = 256 * 1024

MAX_LOCK_MINUTES = 30  # CJIS AC-11
MAX_ATTEMPTS = 5  # CJIS AC-7
MIN_WINDOW_MINUTES = 15  # CJIS AC-7
MIN_LOCKOUT_MINUTES = 10  # CJIS AC-7
MAX_GRACE_MINUTES = 15  # how long answers may leave while the witness is away
MIN_ARGON2_KIB = 19 * 1024  # OWASP's least for argon2id, with 2 passes
MIN_ARGON2_PASSES = 2
MAX_TRAINING_DAYS = 366  # 463.9: annually
MAX_AUDIT_DAYS = 366
FLOOR_DAYS = 365  # 463.8: "should be stored for 1 year"; less is another manual's rule
MANUAL = "463"
MAX_DESIGNATION_DAYS = 366  # a designee is named anew every year
NUMBER_KINDS = ("case", "cad", "action")
CJIS_LOG_DAYS = 365  # audit records are kept a year at least


LATER_TERMS = {
    "inquiry": ("number_refused", "numbers", "bases_of"),
    "detectors": ("break_glass_count", "break_glass_days"),
}
"""Terms that files signed before them do not have: they mean section 463's values."""


def _refuse(what: str, where: str) -> RecordError:
    return RecordError(what, where=f"policy.{where}")


def _pattern(text: str, where: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error:
        raise _refuse("is not a regular expression", where) from None


def _between(value: int, low: int, high: int, where: str) -> None:
    if not low <= value <= high:
        raise _refuse(f"{value} where {low} to {high} is allowed", where)


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One value with its words: a purpose, a topic, a ground."""

    id: str
    clause: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleTerms:
    """What one role may call. `also`: roles that come with it."""

    id: Role
    title: str
    clause: str
    also: tuple[Role, ...]
    calls: tuple[Call, ...]

    def check(self) -> None:
        check_ceiling(self.id, self.calls)


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberTerms:
    """What a number of one kind (case, cad, action) looks like. `text`: an example, for the refusal."""

    kind: str
    pattern: str
    text: str

    def check(self) -> None:
        where = f"inquiry.numbers.{self.kind}"
        if self.kind not in NUMBER_KINDS:
            raise _refuse(f"is none of {', '.join(NUMBER_KINDS)}", where)
        if _pattern(self.pattern, where).fullmatch(""):
            raise _refuse("must not match nothing", where)


@dataclass(frozen=True, slots=True, kw_only=True)
class BasisTerms:
    """The bases that one purpose may rest on; a purpose that is not named may rest on each."""

    purpose: str
    bases: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakGlassTerms:
    """An emergency search on one person's word: how far back, and how soon a second person judges it.

    `open_max`: how many of a person's may wait overdue before the next is refused.
    """

    clause: str
    allowed: bool
    second_word_hours: int
    days_max: int
    open_max: int

    def check(self) -> None:
        _between(self.second_word_hours, 1, 72, "break_glass.second_word_hours")
        _between(self.days_max, 1, 31, "break_glass.days_max")
        _between(self.open_max, 1, 10, "break_glass.open_max")


@dataclass(frozen=True, slots=True, kw_only=True)
class PeopleTerms:
    """463.3, 463.6 (b): how long a designation lasts at most, and how early its end is announced."""

    clause: str
    designation_days_max: int
    notice_days: int

    def check(self) -> None:
        _between(self.designation_days_max, 1, MAX_DESIGNATION_DAYS, "people.designation_days_max")
        _between(self.notice_days, 1, 92, "people.notice_days")


@dataclass(frozen=True, slots=True, kw_only=True)
class InquiryTerms:
    """463.5 (a), (c): what an inquiry must say.

    `number_pattern` binds every number; `numbers` those of one kind; what `number_refused` matches is none.
    """

    clause: str
    bases: tuple[str, ...]
    number_pattern: str
    number_refused: str
    numbers: tuple[NumberTerms, ...]
    bases_of: tuple[BasisTerms, ...]
    justification_min: int
    full_plate_min: int
    approval_hours: int
    answer_hours: int
    results_max: int
    days_max: int

    def check(self) -> None:
        if _pattern(self.number_pattern, "inquiry.number_pattern").fullmatch(""):
            raise _refuse("must not match nothing", "inquiry.number_pattern")
        _pattern(self.number_refused, "inquiry.number_refused")
        if len({one.kind for one in self.numbers}) != len(self.numbers):
            raise _refuse("names one kind twice", "inquiry.numbers")
        for one in self.bases_of:
            if not one.bases or not set(one.bases) <= set(self.bases):
                raise _refuse("names a basis that inquiry.bases does not have", "inquiry.bases_of")
        if not self.bases:
            raise _refuse("must name at least one basis", "inquiry.bases")
        _between(self.justification_min, 1, 200, "inquiry.justification_min")
        _between(self.full_plate_min, 2, 8, "inquiry.full_plate_min")
        _between(self.approval_hours, 1, 72, "inquiry.approval_hours")
        _between(self.answer_hours, 1, 24 * 31, "inquiry.answer_hours")
        _between(self.results_max, 1, 10_000, "inquiry.results_max")
        _between(self.days_max, 1, 366, "inquiry.days_max")


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditTerms:
    """463.5 (c): the periodic audit, its findings and the filing of requests."""

    clause: str
    every_days: int
    finding_due_days: int
    filing_due_days: int
    sample_per_thousand: int

    def check(self) -> None:
        _between(self.every_days, 1, MAX_AUDIT_DAYS, "audit.every_days")
        _between(self.finding_due_days, 1, 92, "audit.finding_due_days")
        _between(self.filing_due_days, 1, 92, "audit.filing_due_days")
        _between(self.sample_per_thousand, 1, 1000, "audit.sample_per_thousand")


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorTerms:
    """Thresholds of the misuse detectors."""

    same_plate_count: int
    same_plate_days: int
    catch_all_plates: int
    catch_all_days: int
    burst_count: int
    burst_minutes: int
    off_shift_minutes: int
    break_glass_count: int
    break_glass_days: int

    def check(self) -> None:
        _between(self.same_plate_count, 2, 5, "detectors.same_plate_count")
        _between(self.same_plate_days, 7, 366, "detectors.same_plate_days")
        _between(self.catch_all_plates, 3, 20, "detectors.catch_all_plates")
        _between(self.catch_all_days, 1, 92, "detectors.catch_all_days")
        _between(self.burst_count, 5, 200, "detectors.burst_count")
        _between(self.burst_minutes, 5, 240, "detectors.burst_minutes")
        _between(self.off_shift_minutes, 0, 240, "detectors.off_shift_minutes")
        _between(self.break_glass_count, 1, 20, "detectors.break_glass_count")
        _between(self.break_glass_days, 7, 366, "detectors.break_glass_days")


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionTerms:
    """Locks and lock-outs. CJIS AC-7, AC-11."""

    clause: str
    lock_minutes: int
    attempts: int
    window_minutes: int
    lockout_minutes: int
    longest_hours: int
    staffed_posts: tuple[str, ...]

    def check(self) -> None:
        _between(self.lock_minutes, 1, MAX_LOCK_MINUTES, "sessions.lock_minutes")
        _between(self.attempts, 1, MAX_ATTEMPTS, "sessions.attempts")
        _between(self.window_minutes, MIN_WINDOW_MINUTES, 24 * 60, "sessions.window_minutes")
        _between(self.lockout_minutes, MIN_LOCKOUT_MINUTES, 24 * 60, "sessions.lockout_minutes")
        _between(self.longest_hours, 1, 24, "sessions.longest_hours")


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityTerms:
    """Algorithms and passwords. `profile`: standard or fips."""

    profile: str
    argon2_memory_kib: int
    argon2_passes: int
    password_min: int
    password_max_days: int

    def check(self) -> None:
        if self.profile not in {"standard", "fips"}:
            raise _refuse("must be standard or fips", "security.profile")
        _between(self.argon2_memory_kib, MIN_ARGON2_KIB, 1 << 21, "security.argon2_memory_kib")
        _between(self.argon2_passes, MIN_ARGON2_PASSES, 10, "security.argon2_passes")
        _between(self.password_min, 12, 128, "security.password_min")
        _between(self.password_max_days, 1, 365, "security.password_max_days")


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessTerms:
    """How long answers may leave without a fresh co-signature."""

    clause: str
    grace_minutes: int

    def check(self) -> None:
        _between(self.grace_minutes, 0, MAX_GRACE_MINUTES, "witness.grace_minutes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """A standing inter-agency agreement: 463.6 (d)."""

    id: str
    agency: str
    kind: str
    state: str
    clause: str
    terms: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SharingTerms:
    """463.6 and the gate of Civil Code 1798.90.55 (b)."""

    clause: str
    home_state: str
    allowed_kinds: tuple[str, ...]
    refused_kinds: tuple[str, ...]
    records_release: str
    agreements: tuple[Agreement, ...]

    def check(self) -> None:
        known = {"law-enforcement", "prosecutor"}
        if not set(self.allowed_kinds) <= known:
            raise _refuse(f"may only be of {', '.join(sorted(known))}: 463.6", "sharing.allowed_kinds")
        for one in self.agreements:
            if one.kind not in self.allowed_kinds or one.state != self.home_state:
                raise _refuse("an agreement cannot pass the share gate", f"sharing.agreements.{one.id}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionTerms:
    """463.8. `keep_days` from receipt, floor and ceiling both; a year at most, under any manual."""

    clause: str
    keep_days: int
    log_keep_days: int

    def check(self) -> None:
        _between(self.keep_days, 1, 365, "retention.keep_days")
        _between(self.log_keep_days, self.keep_days + CJIS_LOG_DAYS, 36_500, "retention.log_keep_days")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingTerms:
    """463.9."""

    clause: str
    valid_days: int
    conducted_by: Role
    conductor_recorded_by: Role
    courses: tuple[str, ...]
    topics: tuple[Term, ...]

    def check(self) -> None:
        _between(self.valid_days, 1, MAX_TRAINING_DAYS, "training.valid_days")
        if self.conducted_by == self.conductor_recorded_by:
            raise _refuse("nobody records his own training", "training.conductor_recorded_by")
        if not self.courses or not self.topics:
            raise _refuse("must name at least one course and one topic", "training")


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitTerms:
    """What units enforce on their own.

    `epoch_hours`: how long one content key lasts; `memory_only`: key classes ("read", "hit") whose keys never
    touch the card; `escrow`: the department can open a dead unit's card.
    """

    clause: str
    local_query: bool
    memory_only: tuple[str, ...]
    escrow: bool
    epoch_hours: int
    keep_hours_after_receipt: int
    inquiry_roles: tuple[Role, ...]
    hold_roles: tuple[Role, ...]
    audit_roles: tuple[Role, ...]
    no_read_zones: tuple[NoReadZone, ...]

    def check(self) -> None:
        if not set(self.memory_only) <= {"read", "hit"}:
            raise _refuse("may name read and hit", "unit.memory_only")
        _between(self.epoch_hours, 1, 24, "unit.epoch_hours")
        _between(self.keep_hours_after_receipt, 0, 365 * 24, "unit.keep_hours_after_receipt")
        _between(len(self.no_read_zones), 0, MAX_ZONES, "unit.no_read_zones")

    def check_roles(self, grants: Mapping[Role, frozenset[Call]]) -> None:
        """At a unit no role may do what it may not do at the desk. Raises RecordError."""
        for name, roles, calls in (
            ("inquiry_roles", self.inquiry_roles, {Call.INQUIRY_RUN}),
            ("hold_roles", self.hold_roles, {Call.HOLD_PLACE, Call.HOLD_RELEASE}),
            ("audit_roles", self.audit_roles, {Call.AUDIT_READ}),
        ):
            for role in roles:
                if not calls & grants.get(role, frozenset()):
                    raise _refuse(f"{role} may not do that at the desk either", f"unit.{name}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The signed policy file. Every field is a value that a department may change within its ceiling."""

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
            raise _refuse(f"format {self.format} where {FORMAT} is known", "format")
        _between(self.version, 1, 1 << 31, "version")
        zone_of(self.time_zone)
        own = not self.manual.startswith(MANUAL) and not self.retention.clause.startswith(MANUAL)
        if self.retention.keep_days < FLOOR_DAYS and not own:
            raise _refuse(
                f"{self.retention.keep_days} days where 463.8 says a year: a department that keeps less "
                "names its own manual, and the clause in it",
                "retention.keep_days",
            )
        for where, names in (
            ("purposes", [one.id for one in self.purposes]),
            ("roles", [str(one.id) for one in self.roles]),
            ("holds", [one.id for one in self.holds]),
            ("sharing.agreements", [one.id for one in self.sharing.agreements]),
        ):
            if len(set(names)) != len(names):
                raise _refuse("names one value twice", where)
        if not self.purposes or not self.holds:
            raise _refuse("must not be empty", "purposes, holds")
        self.unit.check_roles(self.grants)
        for role in self.roles:
            for more in role.also:
                if more in {Role.ADMINISTRATOR, Role.REVIEWER, Role.CCAT_SUPERVISOR, role.id}:
                    raise _refuse(f"{more} does not come with another role", f"roles.{role.id}.also")

    @property
    def zone(self) -> tzinfo:
        """The department's clock: of its shifts, and of the days that its people type."""
        return zone_of(self.time_zone)

    @property
    def grants(self) -> dict[Role, frozenset[Call]]:
        """Role to calls."""
        return {role.id: frozenset(role.calls) for role in self.roles}

    def effective_roles(self, held: tuple[Role, ...]) -> tuple[Role, ...]:
        """The roles a person holds with those that come with them, each once."""
        also = {role.id: role.also for role in self.roles}
        found: dict[Role, None] = dict.fromkeys(held)
        for role in held:
            found.update(dict.fromkeys(also.get(role, ())))
        return tuple(found)

    def purpose(self, name: str) -> Term | None:
        return next((one for one in self.purposes if one.id == name), None)

    def bases_of(self, purpose: str) -> tuple[str, ...]:
        """The bases that a purpose may rest on."""
        named = (one.bases for one in self.inquiry.bases_of if one.purpose == purpose)
        return next(named, self.inquiry.bases)

    def hold_ground(self, name: str) -> Term | None:
        return next((one for one in self.holds if one.id == name), None)

    def agreement(self, name: str) -> Agreement | None:
        return next((one for one in self.sharing.agreements if one.id == name), None)

    def title(self, role: Role) -> str:
        return next((one.title for one in self.roles if one.id == role), str(role))


def parse(document: bytes) -> Policy:
    """The policy of a TOML document. Raises RecordError naming the field."""
    if len(document) > MAX_POLICY_BYTES:
        raise RecordError(f"is larger than {MAX_POLICY_BYTES} bytes", where="policy")
    try:
        table = tomllib.loads(document.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RecordError(f"is not TOML: {error}", where="policy") from None
    return from_plain(Policy, _with_alerts(_with_later_terms(_with_zone(table))), where="policy")


def _with_later_terms(table: dict[str, Any]) -> dict[str, Any]:
    """Files signed before there were these terms, with section 463's values for them."""
    usual = tomllib.loads(default_document().decode())
    result = {name: usual[name] for name in ("break_glass", "people", "unit")} | table
    for name, terms in LATER_TERMS.items():
        if isinstance(table.get(name), dict):
            result[name] = {term: usual[name][term] for term in terms} | table[name]
    return result


def _with_alerts(table: dict[str, Any]) -> dict[str, Any]:
    """Files signed before there were alerts named list categories, and mean the default's terms for them."""
    if "alerts" in table:
        return table
    named = {one.get("id") for one in table.get("lists", []) if isinstance(one, dict)}
    usual = tomllib.loads(default_document().decode())["alerts"]
    kept = [one for one in usual["categories"] if one["id"] in named]
    rest = {name: value for name, value in table.items() if name != "lists"}
    return rest | {"alerts": usual | {"categories": kept or usual["categories"]}}


def _with_zone(table: dict[str, Any]) -> dict[str, Any]:
    """Files signed before there were zones say one offset for the whole year, and still mean that."""
    audit = table.get("audit")
    old = audit.get("utc_offset_minutes") if isinstance(audit, dict) else None
    if "time_zone" in table or type(old) is not int:
        return table
    rest = {name: value for name, value in table["audit"].items() if name != "utc_offset_minutes"}
    return table | {"audit": rest, "time_zone": fixed_name(old)}


def digest(document: bytes) -> bytes:
    """SHA-256 of the policy file as it lies."""
    return hashlib.sha256(document).digest()


def document_for(department: str, *, fips: bool = False) -> bytes:
    """Section 463's policy file with another department's name, and its profile. Raises RecordError for an
    odd name."""
    usual = parse(default_document()).department
    if not department.isprintable() or set(department) & {'"', "\\"}:
        raise RecordError("a department's name is plain text", where="policy.department")
    document = default_document().replace(
        f'department = "{usual}"'.encode(), f'department = "{department}"'.encode(), 1
    )
    return document.replace(b'profile = "standard"', b'profile = "fips"', 1) if fips else document


@functools.cache
def default_document() -> bytes:
    """The text of section 463's policy file, with its comments."""
    return resources.files("sync.department.policy").joinpath("policy-463.toml").read_bytes()
