"""One plate design: its names, serial patterns, tones and decorations."""

from __future__ import annotations

from dataclasses import dataclass

from .backdrops import Backdrop
from .faces import Lettering
from .symbols import Symbol


@dataclass(frozen=True, slots=True, kw_only=True)
class PlateDesign:
    """One design. paper, ink: luma; top_band, bottom_band: luma of a strip behind name or slogan, or None.

    patterns: as in serials.fill; name_low: the name is below and the slogan above.
    """

    code: str
    name: str
    lettering: Lettering
    patterns: tuple[str, ...]
    slogans: tuple[str, ...]
    paper: int
    ink: int
    backdrop: Backdrop
    symbol: Symbol
    name_low: bool
    top_band: int | None
    bottom_band: int | None


def look(
    code: str,
    name: str,
    lettering: Lettering,
    patterns: str,
    slogans: str = "",
    *,
    paper: int = 215,
    ink: int = 40,
    backdrop: Backdrop = "plain",
    symbol: Symbol = "none",
    low: bool = False,
    top: int | None = None,
    bottom: int | None = None,
    country: str = "US",
) -> PlateDesign:
    """A design from a row: slashes separate patterns and slogans; tones are lumas by day."""
    return PlateDesign(
        code=f"{country}-{code}",
        name=name,
        lettering=lettering,
        patterns=tuple(patterns.split("/")),
        slogans=tuple(slogans.split("/")),
        paper=paper,
        ink=ink,
        backdrop=backdrop,
        symbol=symbol,
        name_low=low,
        top_band=top,
        bottom_band=bottom,
    )
