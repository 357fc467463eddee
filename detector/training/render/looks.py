"""What the plates of the United States look like: the designs of all states and the District of Columbia.

The renderer varies everything in a row. Sources: the states' published plate formats and pictures
of plates in use.
"""

from __future__ import annotations

from . import looks_a_to_m, looks_n_to_w
from .look import PlateDesign

LOOKS: tuple[PlateDesign, ...] = (*looks_a_to_m.ROWS, *looks_n_to_w.ROWS)
JURISDICTIONS = tuple(sorted({look.code for look in LOOKS}))
