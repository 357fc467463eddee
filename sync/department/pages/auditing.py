"""The audit: accesses with filters, charts by purpose and person, findings, the RMS, events (463.5 (b),
(c))."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from storage.counts import counted
from sync.department.desk.audit.events import NAMES
from sync.department.desk.audit.rules import VERDICTS, csv_text
from sync.department.desk.inquiry.filing import read_filings
from sync.department.desk.json_forms import to_json
from sync.department.pages import offers
from sync.department.pages.charts import Chart, chart_of
from sync.department.pages.fields import Field, Options
from sync.department.pages.paging import ROWS
from sync.department.pages.sheets import Ask, File, Listing, Opening, PageLink, Sheet, download, pages_of
from sync.department.pages.values import Values
from sync.department.pages.visit import Page, Visit
from sync.department.pages.wording import word_of
from sync.department.policy.refusals import FormError

WHEN = (
    Field(name="since_us", kind="time", label="From", help="by the department's clock", required=False),
    Field(name="until_us", kind="time", label="To", help="by the department's clock", required=False),
)
WHO = Field(name="user", kind="choice", label="Person", help="who ran it, or in whose name", required=False)
WHAT = Field(name="purpose", kind="choice", label="Purpose", help="", required=False)
KIND = Field(name="kind", kind="choice", label="Kind", help="", required=False)


def _purposes(visit: Visit) -> Options:
    return [(one.id, one.text) for one in visit.calling.front.desk.policy.purposes]


def _event_kinds(_visit: Visit) -> Options:
    return [(one, one) for one in NAMES]


def _asked(visit: Visit, *names: str) -> dict[str, Any]:
    """The filters in the page's address, which has no plate because browsers keep addresses."""
    typed = Values(tuple(visit.request.query_params.multi_items()))
    zone = visit.calling.front.desk.policy.zone
    found: dict[str, Any] = {}
    for name in names:
        if typed.text(name):
            found[name] = (
                typed.moment_us(name, zone, visit.now_us)
                if name.endswith("_us")
                else typed.number(name)
                if name == "before"
                else typed.text(name)
            )
    if found.get("user", "") not in {"", *(user for user, _ in offers.ever(visit))}:
        raise FormError(
            "User name: no person here has it, or had it",
            code="user",
            clause="463.5 (c)",
            cure="type a part of the name, and choose",
        )
    return found


def _charts(answer: Any) -> list[Chart]:
    return [
        chart_of("Accesses by purpose", ((one.name, one.count) for one in answer.by_purpose)),
        chart_of("Accesses by person", ((one.name, one.count) for one in answer.by_person)),
        chart_of("Accesses by kind", ((one.name, one.count) for one in answer.by_action)),
        chart_of("Accesses by day", [(one.name, one.count) for one in answer.by_day][-20:]),
    ]


def _report(answer: Any) -> str:
    accesses = counted(answer.accesses, "access", "accesses")
    return f"The audit checked {accesses} and opened {counted(len(answer.findings), 'finding')}."


def _bundle(answer: Any) -> File:
    return File(name=f"audit-bundle-{answer.entries}.zip", kind="application/zip", data=answer.bundle)


async def _csv_link(visit: Visit) -> dict[str, Any]:
    return {"csv": f"/audit/requests.csv?{visit.request.url.query}"}


SHEET = Sheet(
    path="/audit",
    title="Audit",
    duty="463.5 (c): ALPR system audits are conducted on a periodic basis. Every reading of the "
    "log is an entry too.",
    links=(
        PageLink("/findings", "Findings", "audit/findings"),
        PageLink("/audit/requests", "ALPR Requests", "audit/read"),
        PageLink("/audit/events", "Events", "audit/events"),
    ),
    filters=WHEN,
    listings=(
        Listing(
            operation="audit/numbers",
            title="Numbers",
            columns=("name",),
            rows=lambda _answer: [],
            value=lambda visit: _asked(visit, "since_us", "until_us"),
            charts=_charts,
            facts=lambda answer: [("Accesses", answer.accesses), ("Not filed in the RMS", answer.not_filed)],
        ),
    ),
    asks=(
        Ask(
            operation="audit/run",
            title="Run the periodic audit",
            button="Run it",
            lead="Runs all detectors over the whole log and samples the period. Leave empty for: "
            "last audit until now.",
            said=_report,
            to="/findings",
        ),
        Ask(
            operation="audit/compare",
            title="Compare case numbers with CAD or RMS",
            button="Compare",
            said=lambda answer: f"{answer.known} of {answer.accesses} lookups have a number that exists.",
        ),
        Ask(
            operation="audit/bundle",
            title="Auditor's bundle",
            button="Download",
            lead="The log's tree and the public counts, checked offline by: department verify. "
            "No plate is inside.",
            file=_bundle,
            said=lambda answer: f"The bundle of {counted(answer.entries, 'entry', 'entries')} was made.",
        ),
    ),
)
REQUESTS = Sheet(
    path="/audit/requests",
    title="ALPR Requests",
    duty="463.5 (b): date and time, data elements, user name, purpose of every access.",
    filters=(*WHEN, WHO, WHAT),
    offered={"purpose": _purposes, "user": offers.ever},
    listings=(
        Listing(
            operation="audit/read",
            title="Accesses, the newest first",
            columns=(
                *("entry", "at_us", "username", "on_behalf_of", "action", "purpose", "number"),
                *("justification", "results", "second_person", "rms_number"),
            ),
            rows=lambda answer: list(answer)[::-1],
            value=lambda visit: _asked(visit, "since_us", "until_us", "user", "purpose"),
        ),
    ),
    more=_csv_link,
    template="requests.html",
)
EVENT_COLUMNS = ("entry", "at_us", "kind", "user", "role", "about", "second", "outcome", "detail")
EVENTS = Sheet(
    path="/audit/events",
    title="Events",
    duty="463.5 (c): refusals, failed logins, accounts, resets, training, approvals, each with "
    "its second person.",
    filters=(*WHEN, WHO, KIND),
    offered={"kind": _event_kinds, "user": offers.ever},
    listings=(
        Listing(
            operation="audit/events",
            title="Events, the newest first",
            columns=EVENT_COLUMNS,
            rows=lambda answer: answer.rows,
            value=lambda visit: (
                _asked(visit, "since_us", "until_us", "user", "kind", "before") | {"limit": ROWS}
            ),
            older=lambda answer: answer.next,
        ),
    ),
)
FINDINGS = Sheet(
    path="/findings",
    title="Findings",
    duty="463.5 (c): a reviewer who made none of the lookups judges each. A closed finding "
    "covers what it found.",
    listings=(
        Listing(
            operation="audit/findings",
            title="Findings, open ones first",
            columns=(
                *("finding", "detector", "about", "reviewer", "due_us", "detail", "reason"),
                *("verdict", "note"),
            ),
            empty="There is no finding.",
            late=lambda row, now_us: not row.verdict and now_us >= row.due_us,
            opens=(Opening(operation="audit/read", path="/findings/{}", text="Accesses"),),
            acts=(
                Ask(
                    operation="audit/close",
                    title="Close it",
                    fixed={"finding": "finding"},
                    buttons=tuple((word_of(one).capitalize(), "verdict", one) for one in VERDICTS),
                    when=lambda row, visit: (
                        not row.verdict
                        and row.about != visit.person.user
                        and row.reviewer in {"", visit.person.user}
                    ),
                    said=lambda _answer: "Closed.",
                ),
            ),
        ),
    ),
)
FINDING = Sheet(
    path="/findings/{number:int}",
    title="Accesses of a finding",
    duty="463.5 (c): what a reviewer judges: the elements searched for and the reason given.",
    links=(PageLink("/findings", "All findings", "audit/findings"),),
    listings=(
        Listing(
            operation="audit/read",
            title="Accesses",
            columns=(
                *("entry", "at_us", "username", "on_behalf_of", "action", "data_elements", "purpose"),
                *("number", "justification", "results", "second_person"),
            ),
            value=lambda visit: {"finding": int(visit.request.path_params["number"])},
            empty="None of its entries is an access.",
        ),
        Listing(
            operation="audit/events",
            title="Accounts, trainings, grants and other entries",
            columns=EVENT_COLUMNS,
            rows=lambda answer: answer.rows,
            value=lambda visit: {"finding": int(visit.request.path_params["number"])},
            empty="All of its entries are accesses.",
        ),
    ),
)


def _filed(answer: Any) -> str:
    return f"{counted(answer.filed, 'access is', 'accesses are')} filed."


def _filings(visit: Visit) -> list[dict[str, Any]]:
    """The lines of the uploaded CSV. Raises FormError."""
    if "filings" not in visit.values.files:
        raise FormError("name the file of RMS numbers", code="filings", clause="463.5 (b)")
    return [to_json(one) for one in read_filings(visit.values.files["filings"][1])]


FILING = Sheet(
    path="/filing",
    title="ALPR Requests for the RMS",
    duty="463.5 (b): personnel document the access in the Records Management System under ALPR Request.",
    links=(PageLink("/filing.csv", "Download what is not filed yet, as CSV", "inquiry/unfiled"),),
    listings=(
        Listing(
            operation="inquiry/unfiled",
            title="Not filed yet",
            columns=("entry", "at_us", "username", "action", "purpose", "number", "justification"),
            empty="Everything is filed.",
        ),
    ),
    asks=(
        Ask(
            operation="inquiry/file-case",
            title="File a whole case",
            button="File",
            said=_filed,
        ),
        Ask(
            operation="inquiry/file-many",
            title="Import the RMS's numbers",
            button="Import",
            read={"filings": _filings},
            said=_filed,
        ),
    ),
)


async def requests_csv(visit: Visit) -> Response:
    """Answer with the same accesses as a spreadsheet."""
    found = await visit.call("audit/read", **_asked(visit, "since_us", "until_us", "user", "purpose"))
    return download(File(name="alpr-requests.csv", kind="text/csv", data=csv_text(found).encode()), visit)


async def unfiled_csv(visit: Visit) -> Response:
    """Answer with the export for the RMS."""
    found = await visit.call("inquiry/unfiled")
    return download(
        File(name="alpr-requests-to-file.csv", kind="text/csv", data=csv_text(found).encode()), visit
    )


PAGES = (
    Page(path="/audit/requests.csv", show=requests_csv),
    Page(path="/filing.csv", show=unfiled_csv),
    *(page for sheet in (SHEET, REQUESTS, EVENTS, FINDINGS, FINDING, FILING) for page in pages_of(sheet)),
)
