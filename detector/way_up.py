"""Notices a camera that is mounted upside down: one vehicle after another shows its plate upside down.

One plate proves little (``flipped.py``). Each pass of a camera counts for or against, so that a few vehicles
in a row decide, and as many later ones can reverse that.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace

from .ocr import CUT_TRUST
from .plates import U8, VehiclePass

# Excess of turned passes that decides. A turned plate counts as turned two times in three, an upright one
# once in 200: eight by chance will not happen in a camera's lifetime.
_MOST = 8
_REMEMBERED = 8  # texts that have counted: a vehicle that is seen again is no new evidence


class WayUp:
    """The evidence for a camera's orientation. One thread counts; any thread may ask or reset."""

    def __init__(
        self,
        turned: Callable[[U8], int],
        *,
        upside_down: bool = False,
        decided: Callable[[bool], None] = lambda _upside_down: None,
    ) -> None:
        """turned: ``PlateReader.turned``, whether a pass's patch shows a turned plate. upside_down: the last
        decision of an earlier run. decided: called whenever the decision changes."""
        self._turned, self._decided = turned, decided
        self.upside_down = upside_down
        self._more_turned = _MOST if upside_down else 0
        self._counted: deque[int] = deque(maxlen=_REMEMBERED)  # hashes, which do not outlive the process

    def reset(self) -> None:
        """Forgets everything, since the camera was turned."""
        self._more_turned = 0
        self._counted.clear()
        self._decide(upside_down=False)

    def _decide(self, *, upside_down: bool) -> None:
        if self.upside_down != upside_down:
            self.upside_down = upside_down
            self._decided(upside_down)

    def count(self, ended: VehiclePass) -> None:
        """Counts a pass that has ended."""
        text = hash(ended.text.leader)
        says = 0 if text in self._counted else self._turned(ended.best_patch)
        if not says:
            return
        self._counted.append(text)
        self._more_turned = min(max(self._more_turned + says, 0), _MOST)
        if self._more_turned in (0, _MOST):
            self._decide(upside_down=self._more_turned == _MOST)

    def doubted(self, one: VehiclePass) -> VehiclePass:
        """Returns the pass, with no sure text while the camera seems to be upside down."""
        if not self.upside_down:
            return one
        return replace(one, text=replace(one.text, confidence=CUT_TRUST * one.text.confidence))
