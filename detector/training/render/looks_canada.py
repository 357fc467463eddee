"""Plate designs of Canada's provinces, which are easily taken for a state's: one row per design.

The reader's net names only states; it learns these as plates of no state. Sources: the provinces'
published plate formats and the vehicle registration plate articles on them.
"""

from __future__ import annotations

from .look import look

ROWS = (
    look("ON", "ONTARIO", "sans", "LLLL*999/LLL*999", "YOURS TO DISCOVER", country="CA", paper=228, ink=70),
    look("ON", "ONTARIO", "sans", "LLLL*999", "A PLACE TO GROW", country="CA", paper=70, ink=225),
    look("QC", "Quebec", "sans", "L99 LLL/LLL 999", "Je me souviens", country="CA", paper=228, ink=85),
    look(
        "BC",
        "Beautiful",
        "script",
        "LL9 99L/LLL 999/999*LLL",
        "British Columbia",
        country="CA",
        paper=228,
        ink=75,
        symbol="picture",
    ),
    look("AB", "Alberta", "sans", "LLL-9999/LLL-999", "Wild Rose Country", country="CA", ink=95),
    look(
        "MB",
        "Manitoba",
        "sans",
        "LLL 999",
        "FRIENDLY",
        country="CA",
        paper=205,
        ink=60,
        symbol="picture",
        backdrop="fade",
    ),
    look("SK", "Saskatchewan", "script", "999 LLL/999*LLL", "Land of Living Skies", country="CA", ink=75),
    look(
        "NS",
        "NOVA SCOTIA",
        "sans",
        "LLL 999/LLL*999",
        "CANADA'S OCEAN PLAYGROUND",
        country="CA",
        ink=80,
        symbol="picture",
    ),
    look("NB", "New Brunswick", "roman", "LLL 999/LLL*999", "Nouveau Brunswick", country="CA", ink=90),
    look(
        "NL",
        "Newfoundland & Labrador",
        "sans",
        "LLL 999",
        "",
        country="CA",
        paper=220,
        ink=65,
        backdrop="sky",
    ),
    look(
        "PE",
        "Prince Edward Island",
        "roman",
        "99 9LL/999 LL/9999 L",
        "Birthplace of Confederation",
        country="CA",
        paper=215,
        ink=60,
        low=True,
    ),
    look(
        "YT", "Yukon", "script", "LLL 99", "The Klondike", country="CA", paper=215, ink=70, symbol="picture"
    ),
)
