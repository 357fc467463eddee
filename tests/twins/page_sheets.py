"""Every page of lists and forms that is made from a description."""

from __future__ import annotations

from sync.department.pages import auditing, governing, holding, machines, sharing, staffing, transparency
from sync.department.pages.changing import SHEET as CHANGES
from sync.department.pages.sheets import Sheet

_ROOMS = (auditing, governing, holding, machines, transparency, sharing, staffing)
SHEETS = (
    *(one for module in _ROOMS for one in vars(module).values() if isinstance(one, Sheet)),
    CHANGES,
)
PLAIN_PATHS = sorted(
    {one.path for one in SHEETS if "{" not in one.path} | {"/setup", "/trust", "/training/sheet"}
)
"""Of the office's pages those that are about no one thing: the sheets, and three that have a module each."""
