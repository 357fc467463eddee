"""A look as its pages show it: its question, its answer page by page, the pictures opened so far. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from storage.policy import NoReadZone
from sync.department.content.reads import FoundRead
from sync.department.desk.inquiry.forms import Answer, Images
from sync.department.journal.inquiry_entries import Ground, Query
from sync.department.pages.plotting import PlotFrame
from sync.department.pages.street_map import spots_text
from sync.department.pages.zones import Shape, shapes_of


def query_value(query: Query) -> dict[str, Any]:
    """A query in the calls' form."""
    value: dict[str, Any] = asdict(query)
    if query.area is None:
        del value["area"]
    return value


def ground_value(ground: Ground) -> dict[str, str]:
    """A ground in the calls' form."""
    value: dict[str, str] = asdict(ground)
    return value


@dataclass(slots=True)
class SearchLook:
    """A search, an emergency search, or the answer to a request (`kind`), as one session sees it.

    `query`, `ground`: in the calls' form; `number`: the request that an answer is for. `cancelled`, `opened`,
    `of`: the state of a search that runs step by step.
    """

    kind: str
    query: Mapping[str, Any] = field(repr=False)
    ground: Mapping[str, str] = field(repr=False)
    answers: list[Answer] = field(repr=False)
    pictures: dict[str, Images] = field(default_factory=dict, repr=False)
    number: int = -1
    cancelled: bool = False
    opened: int = 0
    of: int = 0

    @property
    def access(self) -> int:
        """The number of the look's entry."""
        return self.answers[0].access

    def take(self, part: int, answer: Answer) -> None:
        """Add part number `part` (from 0) of the answer, unless it is here from a form sent twice or another
        tab."""
        if part == len(self.answers):
            self.answers.append(answer)

    @property
    def reads(self) -> list[FoundRead]:
        """The reads of all pages, newest first."""
        return [one for page in self.answers for one in page.reads]

    @property
    def near(self) -> list[FoundRead]:
        """The near matches of all pages."""
        return [one for page in self.answers for one in page.near]

    @property
    def unwitnessed(self) -> bool:
        """Whether a part of the answer left while the witness was away."""
        return any(one.unwitnessed for one in self.answers)

    def place(self, row: int, read: str) -> int:
        """The row of a read; `row` if no read is named.

        It may have moved since its page was shown, if another tab took more of the answer.
        """
        rows = [*self.reads, *self.near]
        return next((at for at, one in enumerate(rows) if one.read == read), -1) if read else row

    def at(self, index: int) -> FoundRead | None:
        """The read of a row: exact matches first, then near ones."""
        rows = [*self.reads, *self.near]
        return rows[index] if 0 <= index < len(rows) else None


@dataclass(frozen=True, slots=True)
class Spot:
    """A point of the plot. `row`: the number of its read on the page."""

    x: float
    y: float
    row: int
    near: bool
    latitude: float
    longitude: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """Where reads were made, and the no-read zones there."""

    spots: tuple[Spot, ...]
    frame: PlotFrame
    zones: tuple[Shape, ...]

    @property
    def text(self) -> str:
        """The places in the form of the map's script."""
        return spots_text([(one.latitude, one.longitude, one.row, one.near) for one in self.spots])


def plot_of(rows: Iterable[tuple[int, FoundRead, bool]], zones: Sequence[NoReadZone]) -> Plot | None:
    """The plot of those reads that have a place; None if none has. `rows`: (number on the page, read,
    near)."""
    placed = [(at, one.position, near) for at, one, near in rows if one.position is not None]
    if not placed:
        return None
    frame = PlotFrame.around((one.latitude, one.longitude) for _, one, _ in placed)
    spots = tuple(
        Spot(*frame.place(one.latitude, one.longitude), at, is_near, one.latitude, one.longitude)
        for at, one, is_near in placed
    )
    return Plot(spots=spots, frame=frame, zones=shapes_of(zones, frame))
