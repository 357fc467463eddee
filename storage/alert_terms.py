"""The signed policy's rules for hot lists and alerts (463.7), as a unit enforces them. No I/O.

A category that is not named here matches nothing. An alert shows the policy's words, never those of a list.
"""

from __future__ import annotations

from dataclasses import dataclass

from storage.errors import RecordError
from storage.ids import TERM_ID

MAX_CATEGORIES = 64
MAX_WORDS = 64
MAX_WORD = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryTerms:
    """One category of hot-list entries.

    `says`: the words of its alert. `accepts`: the names that a source may use, in upper or lower case.
    `never`: words that no entry of this category may contain; a stored or impounded vehicle is not a stolen
    one.
    """

    id: str
    clause: str
    says: str
    accepts: tuple[str, ...]
    never: tuple[str, ...]

    def check(self) -> None:
        where = "policy.alerts.categories"
        if not TERM_ID.fullmatch(self.id):
            raise RecordError("an id is small letters, digits and -", where=where)
        if not self.says or not self.says.isprintable() or len(self.says) > MAX_WORD:
            raise RecordError(f"says needs 1 to {MAX_WORD} printable characters", where=f"{where}.{self.id}")
        words = (*self.accepts, *self.never)
        if len(words) > MAX_WORDS or not all(one and len(one) <= MAX_WORD for one in words):
            raise RecordError(
                f"holds at most {MAX_WORDS} words of {MAX_WORD} characters", where=f"{where}.{self.id}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertTerms:
    """How lists come in, when an alert sounds, and how it ends.

    `agencies`: other agencies whose lists are switched on. `list_score`, `sound_score`: the minimum
    probability by the vote for a silent alert, and for one that sounds. `exact_only`: match only the text
    that was read, with O equal to 0 and I to 1. `planted_per_thousand`: planted mismatches among a verifier's
    alerts.
    """

    clause: str
    categories: tuple[CategoryTerms, ...]
    agencies: tuple[str, ...]
    bad_lines_per_thousand: int
    stale_hours: int
    local_days: int
    list_score: float
    sound_score: float
    exact_only: bool
    clets_minutes: int
    outcome_hours: int
    source_rejected_percent: int
    source_rejected_least: int
    planted_per_thousand: int

    def check(self) -> None:
        names = [one.id for one in self.categories]
        if not names or len(set(names)) != len(names) or len(names) > MAX_CATEGORIES:
            raise RecordError("needs categories, each once", where="policy.alerts.categories")
        words = [word.casefold() for one in self.categories for word in one.accepts]
        if len(set(words)) != len(words):
            raise RecordError("two categories accept one word", where="policy.alerts.categories")
        for name, value, low, high in (
            ("bad_lines_per_thousand", self.bad_lines_per_thousand, 0, 200),
            ("stale_hours", self.stale_hours, 1, 24 * 7),
            ("local_days", self.local_days, 1, 30),
            ("clets_minutes", self.clets_minutes, 1, 60),
            ("outcome_hours", self.outcome_hours, 1, 72),
            ("source_rejected_percent", self.source_rejected_percent, 1, 100),
            ("source_rejected_least", self.source_rejected_least, 1, 1000),
            ("planted_per_thousand", self.planted_per_thousand, 0, 500),
        ):
            if not low <= value <= high:
                raise RecordError(f"{value} is outside {low} to {high}", where=f"policy.alerts.{name}")
        if not 0.01 <= self.list_score <= self.sound_score <= 1.0:
            raise RecordError("0.01 <= list_score <= sound_score <= 1", where="policy.alerts.sound_score")

    def category(self, name: str) -> CategoryTerms | None:
        """The category with this id; None if there is none."""
        return next((one for one in self.categories if one.id == name), None)

    def category_of(self, word: str) -> CategoryTerms | None:
        """The category that a source's word names; None if the policy does not allow it."""
        wanted = _plain(word)
        for one in self.categories:
            if wanted in {one.id.replace("-", " "), *(_plain(word) for word in one.accepts)}:
                return one
        return None


def _plain(word: str) -> str:
    return " ".join(word.casefold().replace("_", " ").replace("-", " ").split())


NOT_STOLEN = ("stored", "impounded", "impound", "lost", "repossessed", "repo", "recovered", "towed")
DEFAULT_ALERTS = AlertTerms(
    clause="463.7",
    categories=(
        CategoryTerms(
            id="stolen-vehicle",
            clause="463.2",
            says="Stolen vehicle",
            accepts=("stolen", "stolen vehicle", "vehicle theft", "10851"),
            never=(*NOT_STOLEN, "plate only"),
        ),
        CategoryTerms(
            id="stolen-plate",
            clause="463.2",
            says="Stolen plate",
            accepts=("stolen plate", "stolen license plate"),
            never=NOT_STOLEN,
        ),
        CategoryTerms(
            id="felony-vehicle",
            clause="463.2",
            says="Vehicle used in a felony",
            accepts=("felony", "felony vehicle", "carjacking"),
            never=("recovered",),
        ),
        CategoryTerms(
            id="wanted-person",
            clause="463.2",
            says="Wanted person",
            accepts=("wanted", "wanted person", "warrant"),
            never=("civil", "administrative", "immigration", "cleared"),
        ),
        CategoryTerms(
            id="missing-person",
            clause="463.2",
            says="Missing or endangered person",
            accepts=("missing", "missing person", "amber", "silver", "endangered"),
            never=("located",),
        ),
        CategoryTerms(
            id="department",
            clause="463.2",
            says="List of this department: see the case",
            accepts=("bolo", "department", "local"),
            never=("immigration",),
        ),
    ),
    agencies=(),
    bad_lines_per_thousand=10,
    stale_hours=24,
    local_days=30,
    list_score=0.2,
    sound_score=0.7,
    exact_only=False,
    clets_minutes=10,
    outcome_hours=24,
    source_rejected_percent=20,
    source_rejected_least=10,
    planted_per_thousand=20,
)
"""Section 463's own values."""
