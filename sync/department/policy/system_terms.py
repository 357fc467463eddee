"""The sections of the policy file that bind machines: sessions, witness, retention, units. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from storage.policy import MAX_ZONES, NoReadZone
from storage.times import DAY_US
from sync.department.policy.roles import Call, Role
from sync.department.policy.term_base import between, refuse

MAX_LOCK_MINUTES = 30  # CJIS AC-11
MAX_ATTEMPTS = 5  # CJIS AC-7
MIN_WINDOW_MINUTES = 15  # CJIS AC-7
MIN_LOCKOUT_MINUTES = 10  # CJIS AC-7
MAX_PROOF_MINUTES = 15  # CJIS IA-11: authenticate again before sensitive calls
MAX_GRACE_MINUTES = 15  # how long answers may leave while the witness does not answer
MIN_ARGON2_KIB = 19 * 1024  # OWASP's minimum for argon2id with 2 passes
MIN_ARGON2_PASSES = 2
CJIS_LOG_DAYS = 365  # audit records are kept for at least a year


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionTerms:
    """Locks and lock-outs. CJIS AC-7, AC-11.

    `proof_minutes`: how long a fresh proof is valid for holds, exports, sharing, grants and covert entries.
    """

    clause: str
    lock_minutes: int
    attempts: int
    window_minutes: int
    lockout_minutes: int
    longest_hours: int
    proof_minutes: int
    staffed_posts: tuple[str, ...]

    def check(self) -> None:
        between(self.lock_minutes, 1, MAX_LOCK_MINUTES, "sessions.lock_minutes")
        between(self.attempts, 1, MAX_ATTEMPTS, "sessions.attempts")
        between(self.window_minutes, MIN_WINDOW_MINUTES, 24 * 60, "sessions.window_minutes")
        between(self.lockout_minutes, MIN_LOCKOUT_MINUTES, 24 * 60, "sessions.lockout_minutes")
        between(self.longest_hours, 1, 24, "sessions.longest_hours")
        between(self.proof_minutes, 1, MAX_PROOF_MINUTES, "sessions.proof_minutes")


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityTerms:
    """Algorithms and passwords. `profile`: standard or fips."""

    profile: str
    argon2_memory_kib: int
    argon2_passes: int
    password_min: int
    password_max_days: int

    @property
    def approved(self) -> bool:
        """Whether only approved algorithms are used (the FIPS profile)."""
        return self.profile == "fips"

    def check(self) -> None:
        if self.profile not in {"standard", "fips"}:
            raise refuse("must be standard or fips", "security.profile")
        between(self.argon2_memory_kib, MIN_ARGON2_KIB, 1 << 21, "security.argon2_memory_kib")
        between(self.argon2_passes, MIN_ARGON2_PASSES, 10, "security.argon2_passes")
        between(self.password_min, 12, 128, "security.password_min")
        between(self.password_max_days, 1, 365, "security.password_max_days")


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessTerms:
    """How long answers may leave without a fresh co-signature."""

    clause: str
    grace_minutes: int

    def check(self) -> None:
        between(self.grace_minutes, 0, MAX_GRACE_MINUTES, "witness.grace_minutes")


def purge_due_us(day: int, keep_days: int) -> int:
    """463.8: when everything received on `day` (since 1970) has been kept for `keep_days`, UTC us."""
    return (day + 1 + keep_days) * DAY_US


def first_kept_day(now_us: int, keep_days: int) -> int:
    """The oldest day of receipt that 463.8 keeps; earlier reads are not searched, even if not yet purged."""
    return now_us // DAY_US - keep_days


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionTerms:
    """463.8. `keep_days` counts from receipt: a year at most, less only with the department's own manual."""

    clause: str
    keep_days: int
    log_keep_days: int

    def check(self) -> None:
        between(self.keep_days, 1, 365, "retention.keep_days")
        between(self.log_keep_days, self.keep_days + CJIS_LOG_DAYS, 36_500, "retention.log_keep_days")


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitTerms:
    """What units enforce on their own.

    `epoch_hours`: how long a content key is used; `memory_only`: key classes ("read", "hit") whose keys are
    never on the card; `escrow`: the department can open a dead unit's card.
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
            raise refuse("may name read and hit", "unit.memory_only")
        between(self.epoch_hours, 1, 24, "unit.epoch_hours")
        between(self.keep_hours_after_receipt, 0, 365 * 24, "unit.keep_hours_after_receipt")
        between(len(self.no_read_zones), 0, MAX_ZONES, "unit.no_read_zones")

    def check_roles(self, grants: Mapping[Role, frozenset[Call]]) -> None:
        """Raises RecordError for a role that may do more at a unit than at the desk."""
        for name, roles, calls in (
            ("inquiry_roles", self.inquiry_roles, {Call.INQUIRY_RUN}),
            ("hold_roles", self.hold_roles, {Call.HOLD_PLACE, Call.HOLD_RELEASE}),
            ("audit_roles", self.audit_roles, {Call.AUDIT_READ}),
        ):
            for role in roles:
                if not calls & grants.get(role, frozenset()):
                    raise refuse(f"{role} may not do that at the desk either", f"unit.{name}")
