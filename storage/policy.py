"""What the policy lets custody do: durations, grounds, purposes and roles, with their clauses. No I/O.

The default is policy section 463. A department's signed policy file changes values within the ranges
that `check` holds; nothing in a unit's configuration can exceed them.
"""

from __future__ import annotations

from dataclasses import dataclass

from storage.errors import RecordError

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

    def check(self) -> None:
        """Raises RecordError for a value outside what 463 and the law allow."""
        ranges = (
            ("epoch_hours", self.epoch_hours, 1, 24),
            ("keep_days", self.keep_days, 1, MAX_KEEP_DAYS),
            ("keep_hours_after_receipt", self.keep_hours_after_receipt, 0, MAX_KEEP_DAYS * 24),
            ("audit_keep_days", self.audit_keep_days, 2 * 365, 100 * 365),  # a year beyond its content
            ("training_days", self.training_days, 1, 366),
        )
        for name, value, low, high in ranges:
            if not low <= value <= high:
                raise RecordError(f"must lie in {low} to {high}", where=f"policy.{name}")
        if not set(self.memory_only) <= {"read", "hit"}:
            raise RecordError("may name read and hit", where="policy.memory_only")
        for name in ("inquiry_roles", "hold_roles", "audit_roles"):
            if not set(getattr(self, name)) <= set(ROLES) - {"vendor"}:
                raise RecordError("names an unknown role, or a vendor", where=f"policy.{name}")
