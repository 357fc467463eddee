"""What the policy allows custody to do: durations, grounds, purposes and roles, with their clauses. No I/O.

The default is policy section 463. A department's signed policy file changes values within the ranges
that `check` holds; nothing in a unit's configuration can exceed them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from storage import codec
from storage.alert_terms import DEFAULT_ALERTS, AlertTerms
from storage.envelope import decode
from storage.errors import RecordError
from storage.ids import TERM_ID

MAX_KEEP_DAYS = 365  # 463.8: stored for 1 year, thereafter purged
PURPOSES: dict[str, str] = {  # 463.2, in the policy's order
    "investigation": "Investigation for prosecution or exoneration of suspected criminal incidents",
    "wanted-person": "Identification and/or location of wanted persons",
    "enforcement": "Enforcement of sanctions, orders, or sentences",
    "crime-prevention": "Crime prevention/general law enforcement purposes",
    "crime-analysis": "Crime Analysis",
    "investigatory-lead": "Investigatory leads in subsequent investigations",
}
GROUNDS: dict[str, str] = {  # 463.8
    "evidence-criminal": "it has become evidence in a criminal action",
    "evidence-civil": "it has become evidence in a civil action",
    "expected-evidence": "it is reasonable to believe it will become evidence",
    "discovery": "it is subject to a discovery request",
    "lawful-action": "it is subject to another lawful action to produce records",
}
ROLES: dict[str, str] = {  # 463.3 to 463.6
    "sworn-officer": "463.3",
    "dispatcher": "463.3",
    "communications": "463.5 (c)",
    "ccat": "463.3",
    "ccat-supervisor": "463.5 (c)",
    "administrator": "463.4",
    "designee": "463.6 (b)",
    "reviewer": "463.5 (c)",
    "vendor": "463.3",
}
TRAINING_TOPICS = ("equipment", "department-policy", "privacy-policy")  # 463.9 (a) to (c)
CASE_PATTERN = "[A-Z0-9][A-Z0-9-]{2,31}"
CASE_REFUSED = "(?!(?:.*[0-9]){2}).*|[0-]*"  # a word or zeros are not a number
MAX_PATTERN = 1000
NO_NUMBERS = ("", ".", "-", "N/A", "NA", "NONE", "none", "TEST", "test", "0", "INVESTIGATION", "........")
MAX_ZONES, MAX_CORNERS = 64, 256
TRAVELED_LATER = frozenset(
    {"purposes", "grounds", "topics", "case_pattern", "case_refused", "no_read_zones", "alerts"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyTerm:
    """One term of the policy with its wording: a purpose, or a ground for a hold."""

    id: str
    clause: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NoReadZone:
    """A polygon in which a mobile unit reads nothing. `corners`: (latitude, longitude), degrees, WGS 84."""

    id: str
    corners: tuple[tuple[float, float], ...]

    def check(self) -> None:
        if not TERM_ID.fullmatch(self.id):
            raise RecordError("an id is small letters, digits and -", where="policy.no_read_zones")
        where = f"policy.no_read_zones.{self.id}"
        if not 3 <= len(self.corners) <= MAX_CORNERS:
            raise RecordError(f"has {len(self.corners)} corners where 3 to {MAX_CORNERS} belong", where=where)
        for latitude, longitude in self.corners:
            if not (-90.0 <= latitude <= 90.0 and -180.0 <= longitude <= 180.0):
                raise RecordError("a corner is not on the earth", where=where)


def _terms(sentences: Mapping[str, str], clause: str) -> tuple[PolicyTerm, ...]:
    return tuple(PolicyTerm(id=name, clause=clause, text=text) for name, text in sentences.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class CustodyPolicy:
    """The values in force on this unit."""

    version: int = 0
    organisation: str = "demo"
    epoch_hours: int = 24
    keep_days: int = MAX_KEEP_DAYS
    keep_hours_after_receipt: int = 24
    audit_keep_days: int = 3 * 365
    memory_only: tuple[str, ...] = ()
    local_query: bool = False
    escrow: bool = False
    inquiry_roles: tuple[str, ...] = ("ccat-supervisor", "communications")
    hold_roles: tuple[str, ...] = ("administrator", "designee", "ccat-supervisor")
    audit_roles: tuple[str, ...] = ("administrator", "ccat-supervisor", "reviewer")
    training_days: int = 365  # 463.9: annually
    purposes: tuple[PolicyTerm, ...] = _terms(PURPOSES, "463.2")
    grounds: tuple[PolicyTerm, ...] = _terms(GROUNDS, "463.8")
    topics: tuple[str, ...] = TRAINING_TOPICS
    case_pattern: str = CASE_PATTERN  # 463.5 (a): what a case number looks like ...
    case_refused: str = CASE_REFUSED  # ... and what is not one although it looks like it
    no_read_zones: tuple[NoReadZone, ...] = ()
    alerts: AlertTerms = DEFAULT_ALERTS

    def check(self) -> None:
        """Raise RecordError for a value outside what 463 and the law allow."""
        ranges = (
            ("epoch_hours", self.epoch_hours, 1, 24),
            ("keep_days", self.keep_days, 1, MAX_KEEP_DAYS),
            ("keep_hours_after_receipt", self.keep_hours_after_receipt, 0, MAX_KEEP_DAYS * 24),
            ("audit_keep_days", self.audit_keep_days, 2 * 365, 100 * 365),  # a year longer than content
            ("training_days", self.training_days, 1, 366),
        )
        for name, value, low, high in ranges:
            if not low <= value <= high:
                raise RecordError(f"must be in {low} to {high}", where=f"policy.{name}")
        if not set(self.memory_only) <= {"read", "hit"}:
            raise RecordError("may name read and hit", where="policy.memory_only")
        for name in ("inquiry_roles", "hold_roles", "audit_roles"):
            if not set(getattr(self, name)) <= set(ROLES) - {"vendor"}:
                raise RecordError("names an unknown role, or a vendor", where=f"policy.{name}")
        for name, terms in (("purposes", self.purposes), ("grounds", self.grounds)):
            ids = [one.id for one in terms]
            if not ids or len(set(ids)) != len(ids) or not all(map(TERM_ID.fullmatch, ids)):
                raise RecordError("needs distinct ids of small letters, digits and -", where=f"policy.{name}")
        if not self.topics or not all(map(TERM_ID.fullmatch, self.topics)):
            raise RecordError("needs at least one topic of training", where="policy.topics")
        check_patterns(self.case_pattern, self.case_refused)
        self.alerts.check()
        zones = [one.id for one in self.no_read_zones]
        if len(zones) > MAX_ZONES or len(set(zones)) != len(zones):
            raise RecordError(f"holds at most {MAX_ZONES} zones, each once", where="policy.no_read_zones")

    def is_case_number(self, text: str) -> bool:
        """Whether a text can be a case number: 463.5 (a)."""
        return bool(re.fullmatch(self.case_pattern, text)) and not re.fullmatch(self.case_refused, text)

    def purpose(self, text: str) -> str:
        """The id of a purpose given by its id, its number in the policy's order, or its sentence."""
        ids = [one.id for one in self.purposes]
        wanted = text.strip()
        if wanted.isascii() and wanted.isdecimal() and 1 <= int(wanted) <= len(ids):
            return ids[int(wanted) - 1]
        for one in self.purposes:
            if wanted.lower() in {one.id, one.text.lower()}:
                return one.id
        return wanted.lower().replace(" ", "-").replace("_", "-")


def check_patterns(pattern: str, refused: str) -> None:
    """Check the patterns for case numbers. Raises RecordError if one is invalid or they accept a word."""
    compiled = []
    for where, text in (("policy.case_pattern", pattern), ("policy.case_refused", refused)):
        if len(text) > MAX_PATTERN:
            raise RecordError(f"is longer than {MAX_PATTERN} characters", where=where)
        try:
            compiled.append(re.compile(text))
        except re.error:
            raise RecordError("is not a regular expression", where=where) from None
    for one in NO_NUMBERS:
        if compiled[0].fullmatch(one) and not compiled[1].fullmatch(one):
            raise RecordError(f"lets {one!r} pass, which is not a case number", where="policy.case_pattern")


def parse_custody_policy(document: bytes, *, limit: int) -> CustodyPolicy:
    """Parse a policy that the department signed. Raises EnvelopeError, RecordError.

    An older document without purposes, grounds, topics, case numbers and zones gets those of section 463.
    """
    plain = decode(document, limit=limit)
    if isinstance(plain, dict) and not TRAVELED_LATER & set(plain):
        usual = codec.to_plain(CustodyPolicy())
        plain = plain | {name: usual[name] for name in TRAVELED_LATER}
    return codec.from_plain(CustodyPolicy, plain)
