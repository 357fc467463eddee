"""What the looks at one vehicle's plate gave, those too that the vote leaves out, and whether they agree."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass

from .likeness import LEAST_CHARACTERS, is_part, same_text

_MOST = 64  # of the newest
_NEAR = 0.6  # of the nearest look's width: from farther away, another text says little
_RIVAL_SHARE, _RIVAL_LOOKS = 1 / 3, 2  # so many of the looks that one other text has
_OFTEN_SHARE, _OFTEN_LOOKS = 1 / 4, 3  # so many of the looks: the plate is read in this way, too
RIVAL_TRUST = 0.6  # what is left of the confidence then: 3 of 5 such texts were wrong, 11 of 1,478 of all


@dataclass(frozen=True, slots=True)
class _Look:
    text: str
    width_px: float


class LookHistory:
    """The newest looks at one plate."""

    __slots__ = ("_looks",)

    def __init__(self) -> None:
        self._looks: deque[_Look] = deque(maxlen=_MOST)

    def add(self, text: str, width_px: float) -> None:
        """One more. text: what it gave; width_px: of the plate in it."""
        self._looks.append(_Look(text, width_px))

    def join(self, other: LookHistory) -> None:
        """Those at the same plate in another pass."""
        self._looks.extend(other._looks)

    def nearest_px(self, text: str) -> float:
        """Width of the plate in the nearest look that gave a text, or a part of it; 0 if none did."""
        gave = (look for look in self._looks if same_text(look.text, text) or is_part(look.text, text))
        return max((look.width_px for look in gave), default=0.0)

    def often(self, text: str) -> bool:
        """Whether many of the looks gave a text, whatever the vote says."""
        count = sum(same_text(look.text, text) for look in self._looks)
        return count >= max(_OFTEN_LOOKS, _OFTEN_SHARE * len(self._looks))

    def trust(self, leader: str) -> float:
        """The share of a text's confidence that is left, for one other text rivals it from near."""
        nearest = max((look.width_px for look in self._looks), default=0.0)
        near = Counter(look.text for look in self._looks if look.width_px >= _NEAR * nearest)
        most = max((count for text, count in near.items() if _rivals(text, leader)), default=0)
        return RIVAL_TRUST if most >= max(_RIVAL_LOOKS, _RIVAL_SHARE * near.total()) else 1.0


def _rivals(text: str, leader: str) -> bool:
    """Whether a text is another whole one: not what an obstacle leaves of a text."""
    if len(text) != len(leader) or len(text) < LEAST_CHARACTERS:
        return False
    return not same_text(text, leader) and not is_part(text, leader)
