"""The texts of all looks at one vehicle's plate, including those left out of the vote; do they agree?"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass

from .likeness import LEAST_CHARACTERS, is_part, same_text

_MOST = 64  # of the newest
_NEAR = 0.6  # of the nearest look's width: a different text from farther away says little
_RIVAL_SHARE, _RIVAL_LOOKS = 1 / 3, 2  # a rival text has so many of the looks
_OFTEN_SHARE, _OFTEN_LOOKS = 1 / 4, 3  # so many of the looks: the plate is often read this way
RIVAL_TRUST = 0.6  # factor for the confidence then: 3 of 5 such texts were wrong, 11 of all 1,478


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
        """Adds a look. text: what it gave; width_px: the plate's width in it."""
        self._looks.append(_Look(text, width_px))

    def join(self, other: LookHistory) -> None:
        """Adds the looks at the same plate from another pass."""
        self._looks.extend(other._looks)

    def nearest_px(self, text: str) -> float:
        """The plate's width in the nearest look that gave this text or a part of it; 0 if none did."""
        gave = (look for look in self._looks if same_text(look.text, text) or is_part(look.text, text))
        return max((look.width_px for look in gave), default=0.0)

    def often(self, text: str) -> bool:
        """Whether many of the looks gave this text, whatever the vote says."""
        count = sum(same_text(look.text, text) for look in self._looks)
        return count >= max(_OFTEN_LOOKS, _OFTEN_SHARE * len(self._looks))

    def trust(self, leader: str) -> float:
        """The factor for a text's confidence, below 1 if another text at close range rivals it."""
        nearest = max((look.width_px for look in self._looks), default=0.0)
        near = Counter(look.text for look in self._looks if look.width_px >= _NEAR * nearest)
        most = max((count for text, count in near.items() if _rivals(text, leader)), default=0)
        return RIVAL_TRUST if most >= max(_RIVAL_LOOKS, _RIVAL_SHARE * near.total()) else 1.0


def _rivals(text: str, leader: str) -> bool:
    """Whether a text is a different whole text, not what an obstacle leaves of the leader."""
    if len(text) != len(leader) or len(text) < LEAST_CHARACTERS:
        return False
    return not same_text(text, leader) and not is_part(text, leader)
