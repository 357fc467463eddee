"""The menu: the pages to which a person's calls lead. No I/O. The call of a hidden page refuses too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sync.department.policy.roles import Call


@dataclass(frozen=True, slots=True)
class MenuEntry:
    """One line of the menu. `key`: the key to press after g."""

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
    MenuEntry("/changes", "Changes", "c", (Call.CHANGE_APPROVE,)),
    MenuEntry("/sharing", "Sharing", "b", (Call.SHARE_READ,)),
    MenuEntry("/holds", "Evidence", "v", (Call.HOLD_READ,)),
    MenuEntry("/filing", "Filing", "f", (Call.RMS_FILE,)),
    MenuEntry("/audit", "Audit", "u", (Call.AUDIT_READ,)),
    MenuEntry("/findings", "Findings", "i", (Call.AUDIT_REVIEW,)),
    MenuEntry("/people", "People", "p", (Call.USER_MANAGE,)),
    MenuEntry("/training", "Training", "t", (Call.TRAINING_READ,)),
    MenuEntry("/units", "Units", "n", (Call.COMPLIANCE_READ,)),
    MenuEntry("/hotlists", "Hot lists", "l", (Call.DOCUMENT_SIGN,)),
    MenuEntry("/grants", "Grants", "w", (Call.GRANT_READ,)),
    MenuEntry("/incidents", "Incidents", "d", (Call.INCIDENT_READ,)),
    MenuEntry("/retention", "Retention", "y", (Call.COMPLIANCE_READ,)),
    MenuEntry("/redress", "Redress", "x", (Call.REDRESS_ANSWER,)),
    MenuEntry("/calendar", "Calendar", "k", (Call.POLICY_READ,)),
    MenuEntry("/compliance", "Compliance", "o", (Call.COMPLIANCE_READ,)),
    MenuEntry("/policy", "Policy", "z", (Call.POLICY_READ,)),
    MenuEntry("/setup", "Set-up", "", (Call.USER_MANAGE,)),
)
LAST = (MenuEntry("/account", "My account", "m"), MenuEntry("/help", "Help", "?"))


def entries_for(may: Callable[[Call], bool]) -> tuple[MenuEntry, ...]:
    """The lines of the menu for a person who `may` make some calls."""
    shown = [one for one in MENU if not one.calls or any(may(call) for call in one.calls)]
    return (*shown, *LAST)
