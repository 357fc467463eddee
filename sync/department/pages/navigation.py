"""The menu: which pages a person's calls lead to. No I/O. What is hidden here is refused by its call too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sync.department.policy.roles import Call


@dataclass(frozen=True, slots=True)
class MenuEntry:
    """One line of the menu. `key`: the key after g that goes there."""

    path: str
    title: str
    key: str
    calls: tuple[Call, ...] = ()


MENU = (
    MenuEntry("/", "Home", "h"),
    MenuEntry("/alerts", "Alerts", "a", (Call.ALERT_LIST,)),
    MenuEntry("/search", "Search", "s", (Call.INQUIRY_RUN,)),
    MenuEntry("/queue", "Queue", "q", (Call.INQUIRY_QUEUE,)),
    MenuEntry("/ask", "Ask", "r", (Call.INQUIRY_REQUEST,)),
    MenuEntry("/emergencies", "Emergencies", "e", (Call.INQUIRY_APPROVE,)),
)
LAST = (MenuEntry("/account", "My account", "m"), MenuEntry("/help", "Help", "?"))


def entries_for(may: Callable[[Call], bool]) -> tuple[MenuEntry, ...]:
    """The lines of the menu for a person who `may` make some calls."""
    shown = [one for one in MENU if not one.calls or any(may(call) for call in one.calls)]
    return (*shown, *LAST)
