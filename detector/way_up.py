"""Notices a camera that hangs upside down: vehicle after vehicle shows its plate turned by 180 degrees.

One plate proves little (``flipped.py``). Of the passes of a camera each counts one for or against, so that a
few vehicles in a row decide, and as many later ones decide again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace

from .ocr import CUT_TRUST
from .plates import U8, VehiclePass

# More turned passes than upright ones. A turned plate counts as turned two times in three, an upright one
# once in 200: eight by chance is nothing that a camera lives to see.
_MOST = 8
_REMEMBERED = 8  # texts that have counted: one vehicle that is seen again and again is no new evidence


class WayUp:
    """What the passes of one camera say of how it hangs. One thread counts; any may ask or reset."""

    def __init__(
        self,
        turned: Callable[[U8], int],
        *,
        upside_down: bool = False,
        decided: Callable[[bool], None] = lambda _upside_down: None,
    ) -> None:
        """turned: whether a pass's patch shows a turned plate, ``PlateReader.turned``. upside_down: as it was
        decided before. decided: called with each decision that differs from the one before."""
        self._turned, self._decided = turned, decided
        self.upside_down = upside_down
        self._more_turned = _MOST if upside_down else 0
        self._counted: deque[int] = deque(maxlen=_REMEMBERED)  # hashes, which do not outlive the process

    def reset(self) -> None:
        """The camera hangs in another way: nothing is known of it."""
        self._more_turned = 0
        self._counted.clear()
        self._decide(upside_down=False)

    def _decide(self, *, upside_down: bool) -> None:
        if self.upside_down != upside_down:
            self.upside_down = upside_down
            self._decided(upside_down)

    def count(self, ended: VehiclePass) -> None:
        """One more pass has ended."""
        text = hash(ended.text.leader)
        says = 0 if text in self._counted else self._turned(ended.best_patch)
        if not says:
            return
        self._counted.append(text)
        self._more_turned = min(max(self._more_turned + says, 0), _MOST)
        if self._more_turned in (0, _MOST):
            self._decide(upside_down=self._more_turned == _MOST)

    def doubted(self, one: VehiclePass) -> VehiclePass:
        """The pass, which is not sure while the camera seems to hang upside down."""
        if not self.upside_down:
            return one
        return replace(one, text=replace(one.text, confidence=CUT_TRUST * one.text.confidence))
