"""How many bytes a unit puts into one parcel, depending on its link. No I/O."""

from __future__ import annotations

from dataclasses import dataclass, field

FIRST_PARCEL, LEAST_PARCEL, MOST_PARCEL = 1 << 20, 4 << 10, 8 << 20


@dataclass(slots=True)
class ParcelSize:
    """The size of a parcel, which grows on a good link and shrinks on a bad one.

    After a cut, it grows fast to half of the size that was cut, and slowly beyond.
    """

    size: int = field(default=FIRST_PARCEL)
    ceiling: int = field(default=MOST_PARCEL)

    @classmethod
    def of(cls, known: object) -> ParcelSize:
        """The size at the end of the last conversation; the usual size if that is unknown."""
        return cls(known) if isinstance(known, int) and LEAST_PARCEL <= known <= MOST_PARCEL else cls()

    def went_well(self) -> None:
        grown = min(self.size * 2, self.ceiling) if self.size < self.ceiling else self.size * 9 // 8
        self.size = min(MOST_PARCEL, grown)

    def was_cut(self) -> None:
        self.ceiling = max(LEAST_PARCEL, self.size // 2)
        self.size = max(LEAST_PARCEL, self.size // 4)
