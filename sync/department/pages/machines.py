"""Units, grants, incidents, hot lists, retention: what runs, who gets in, what is purged when (463.3, .7,
.8)."""

from __future__ import annotations

import io
import zipfile
from typing import Any

from storage.counts import counted
from storage.times import DAY_US, HOUR_US
from sync.department.pages import offers
from sync.department.pages.fields import Options
from sync.department.pages.sheets import Ask, File, Listing, PageLink, Sheet, pages_of
from sync.department.pages.values import local_input
from sync.department.pages.visit import Visit
from sync.department.pages.wording import word_of
from sync.department.policy.refusals import FormError
from sync.hot_lists.layout import shipped


def _late_unit(row: Any, now_us: int) -> bool:
    return bool(
        row.silent or row.alarms or row.clock_off or row.reset_us > 0 or 0 < row.certificate_ends_us <= now_us
    )


def _layouts(_visit: Visit) -> Options:
    return [(one, one) for one in sorted(shipped())]


def _categories(visit: Visit) -> Options:
    return [(one.id, one.says) for one in visit.calling.front.desk.policy.alerts.categories]


def _last_end(visit: Visit) -> str:
    """The latest end of a local entry, less an hour for filling in the form."""
    policy = visit.calling.front.desk.policy
    return local_input(visit.now_us + policy.alerts.local_days * DAY_US - HOUR_US, policy.zone)


def _agencies(visit: Visit) -> Options:
    return [(one, one) for one in visit.calling.front.desk.policy.alerts.agencies]


def _pushed(answer: Any) -> str:
    return f"{answer.list_id}, version {answer.version}: {answer.said}. Units take it with their next sync."


def _local(answer: Any) -> str:
    entries = counted(answer.entries, "entry")
    return f"The local list has {entries} that you may know of. Units take it with their next sync."


def _compared(answer: Any) -> str:
    came = counted(answer.added, "entry")
    return f"{answer.list_id}: {came} would come, {answer.removed} would go. {answer.said}"


def _lent(answer: Any) -> File:
    """The delegation and the designee's key in one file, since the key is given only once."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as pack:
        pack.writestr("designee.lent", answer.delegation)
        pack.writestr("designee.key", answer.key)
    return File(name="designee.zip", kind="application/zip", data=data.getvalue())


def _grant(answer: Any) -> File:
    return File(name=f"{answer.grant_id}.grant", kind="application/octet-stream", data=answer.bundle)


def _kinds(_visit: Visit) -> Options:
    return [(one, word_of(one)) for one in ("configuration", "update")]


def _purposes(_visit: Visit) -> Options:
    return [(one, word_of(one)) for one in ("maintenance", "repair")]


UNITS = Sheet(
    path="/units",
    title="Units",
    duty="463.8: data is transferred from vehicles to the designated storage. A unit that is "
    "silent or reports an"
    " alarm needs a person.",
    links=(
        PageLink("/grants", "Grants", "grant/list"),
        PageLink("/incidents", "Incidents", "incident/list"),
        PageLink("/retention", "Retention", "retention/read"),
    ),
    listings=(
        Listing(
            operation="unit/list",
            title="Units, those that need a person first",
            columns=(
                *("name", "seen_us", "silent", "reset_us", "alarms", "reads_this_hour", "clock"),
                *("disk_free_mb", "certificate_ends_us"),
            ),
            under={
                "name": "unit",
                "seen_us": "report_us",
                "reads_this_hour": "unacknowledged",
                "alarms": "clock_off",
                "clock": "software",
            },
            empty="No unit is enrolled yet.",
            late=_late_unit,
            late_word="see to it",
            acts=(
                Ask(
                    operation="unit/revoke",
                    title="Take out of service",
                    button="Revoke",
                    fixed={"unit": "unit"},
                    said=lambda _answer: "The unit is revoked.",
                ),
            ),
        ),
        Listing(
            operation="document/list",
            title="Configurations and updates on offer",
            columns=("name", "version", "unit_name", "size", "offered_us"),
            plain=frozenset({"name"}),
            codes={"unit_name": {"": "every unit"}},
            empty="Units are offered none.",
        ),
    ),
    asks=(
        Ask(
            operation="unit/enroll",
            title="Let a unit join",
            button="Make a code",
            said=lambda answer: (
                f"Type at the unit, within {counted(answer.hours, 'hour')}: reader enroll {answer.code}"
            ),
        ),
        Ask(
            operation="document/sign",
            title="Send a configuration or an update",
            lead="This page takes a file of 12 MB, and department send at the server one of 67 MB. A larger "
            "update, as of the whole image, goes to each unit on a stick: update /PATH at its console.",
            button="Sign and send",
            options={"kind": _kinds, "unit": offers.units},
            said=lambda answer: f"{answer.name}, version {answer.version}, is signed and offered to units.",
        ),
    ),
)
LISTS = Sheet(
    path="/hotlists",
    title="Hot lists",
    duty="463.7: an alert is only as good as its list: its source, its extract time and its expiry. Two "
    "people send a list.",
    listings=(
        Listing(
            operation="hotlist/list",
            title="Current lists",
            columns=(
                *("list_id", "version", "entries", "issuer", "source", "agency", "extracted_us"),
                *("expires_us", "expired"),
            ),
            empty="No list of a source yet.",
            late=lambda row, _now_us: row.expired,
            late_word="expired",
        ),
        Listing(
            operation="hotlist/own",
            title="Entries of this department",
            columns=("case", "category", "reason", "requester", "approver", "until_us", "covert"),
            empty="This department looks for no vehicle of its own.",
            acts=(
                Ask(
                    operation="hotlist/withdraw",
                    title="Withdraw",
                    button="Withdraw the whole case, or one plate",
                    lead="Units recall the open alerts of these entries with their next sync.",
                    fixed={"case": "case"},
                    said=_local,
                ),
            ),
        ),
        Listing(
            operation="alert/figures",
            title="Sources, and how often their hits were wrong",
            columns=("source", "checked", "rejected", "silent"),
            rows=lambda answer: [_Source(*one) for one in answer.sources],
            empty="No hit was checked yet.",
            facts=lambda answer: [
                ("Open alerts", answer.open),
                ("Overdue", answer.overdue),
                ("Plates cleared for an entry", answer.cleared),
            ],
        ),
    ),
    asks=(
        Ask(
            operation="hotlist/push",
            title="Send a list",
            button="Send",
            options={"layout": _layouts, "category": _categories, "agency": _agencies},
            first={"hours": lambda _visit: "24"},
            said=_pushed,
        ),
        Ask(
            operation="hotlist/add",
            title="Add a vehicle of a local case",
            button="Add the entry",
            lead="A local entry needs a case and a second person, and expires within the policy's days. A "
            "covert one names the only people who see its alerts, and needs an administrator.",
            options={
                "category": _categories,
                "plate_class": offers.plate_classes,
                "recipients": offers.people,
            },
            first={"until_us": _last_end},
            said=_local,
        ),
        Ask(
            operation="hotlist/diff",
            title="Compare a file with the current list",
            button="Compare",
            lead="Nothing is sent.",
            options={"layout": _layouts, "category": _categories},
            said=_compared,
        ),
    ),
)


class _Source:
    """One source's row of figures."""

    def __init__(self, source: str, checked: int, rejected: int, silent: bool) -> None:
        self.source, self.checked, self.rejected, self.silent = source, checked, rejected, silent


GRANTS = Sheet(
    path="/grants",
    title="Grants",
    duty="463.3: authorized vendors have access for maintenance and repair: named, timed, for named units.",
    listings=(
        Listing(
            operation="grant/list",
            title="Grants, the newest first",
            columns=("person", "unit_names", "commands", "purpose", "from_us", "signer", "state"),
            under={"person": "role", "purpose": "work_order", "from_us": "to_us", "signer": "grant_id"},
            empty="No grant yet.",
            acts=(
                Ask(
                    operation="grant/revoke",
                    title="Revoke",
                    button="Revoke the grant",
                    fixed={"names": "grant_id"},
                    when=lambda row, _visit: row.state == "in force",
                    said=lambda _answer: "Revoked: units receive it with their next sync.",
                ),
            ),
        ),
    ),
    asks=(
        Ask(
            operation="grant/issue",
            title="Give access",
            button="Issue the grant",
            lead="A grant for repair takes one administrator. factory-reset and update need a second person: "
            "propose it first.",
            options={
                "person": offers.people,
                "purpose": _purposes,
                "units": offers.units_and_server,
                "commands": offers.commands,
            },
            file=_grant,
            said=lambda _answer: (
                "The grant is issued. Give its file to the person: the unit's console takes it."
            ),
        ),
        Ask(
            operation="grant/enter",
            title="Enter a grant that a designee signed at night",
            button="Enter",
            said=lambda answer: f"Entered, entry {answer.entry}.",
        ),
        Ask(
            operation="grant/lend",
            title="Name a designee for the night",
            button="Name the designee",
            lead="A designee signs grants of up to 4 hours for repair. The file holds a key, given once:"
            " hand it over in person.",
            options={"designee": offers.designees},
            file=_lent,
            said=lambda _answer: "The designee is named. Hand the file over in person.",
        ),
        Ask(
            operation="grant/revoke",
            title="Revoke a person or a key for good",
            button="Revoke",
            lead="Ends all grants of a person or key, and allows no new one. A single grant: in its row.",
            said=lambda _answer: "Revoked: units receive it with their next sync.",
        ),
    ),
)


def _opened(visit: Visit) -> int:
    """When an incident was opened, according to its row."""
    text = visit.values.get("opened_us", "")
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise FormError(
            "is not a time of the list", code="other-incident", clause="463.8", cure="open the page again"
        )
    return int(text)


INCIDENTS = Sheet(
    path="/incidents",
    title="Incidents",
    duty="463.8: a unit's log that contradicts its past is closed; two people record the cause.",
    listings=(
        Listing(
            operation="incident/list",
            title="Incidents, open ones first",
            columns=(
                *("incident", "at_us", "unit_name", "kind", "detail", "times", "state", "first_by"),
                *("second_by", "finding"),
            ),
            empty="There is no incident.",
            acts=(
                Ask(
                    operation="incident/close",
                    title="Your word",
                    button="It is settled",
                    fixed={"incident": "incident", "kind": "kind", "unit": "unit", "opened_us": "at_us"},
                    read={"opened_us": _opened},
                    when=lambda row, visit: row.state != "closed" and row.first_by != visit.person.user,
                    said=lambda answer: "Closed." if answer.closed else "A second person closes it.",
                ),
            ),
        ),
    ),
)
RETENTION = Sheet(
    path="/retention",
    title="Retention",
    duty="463.8: data is stored for one year and purged thereafter, unless it is or will be evidence.",
    links=(PageLink("/holds", "Holds", "hold/list"),),
    listings=(
        Listing(
            operation="retention/read",
            title="Days of receipt, the oldest first",
            columns=("day", "due_us", "reads", "purged_us", "receipt"),
            rows=lambda answer: answer.days,
            late=lambda row, _now_us: row.overdue,
            facts=lambda answer: [
                ("Kept for", counted(answer.keep_days, "day")),
                ("Open holds", answer.open_holds),
                ("Held reads", answer.held_reads),
            ],
            empty="Nothing was received yet.",
        ),
    ),
    asks=(
        Ask(
            operation="backlog/allow",
            title="Allow a purge of more than the day that is due",
            button="Allow",
            said=lambda _answer: "The next daily run purges it.",
        ),
        Ask(
            operation="restore/enter",
            title="Enter that the store was restored from a backup",
            button="Enter",
            said=lambda _answer: "What it lacks is in the log.",
        ),
        Ask(
            operation="clock/confirm",
            title="Confirm the server's clock when it is in doubt",
            button="Confirm",
            said=lambda _answer: "The clock is trusted again.",
        ),
    ),
)
PAGES = tuple(page for sheet in (UNITS, LISTS, GRANTS, INCIDENTS, RETENTION) for page in pages_of(sheet))
