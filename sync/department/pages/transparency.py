"""What anyone sees without a login: the public counts, the policy's text, a request for redress."""

from __future__ import annotations

from itertools import groupby

from starlette.responses import Response

from storage.counts import counted
from sync.department.desk.redress import rules
from sync.department.desk.redress.calls import RedressForm, ask
from sync.department.pages.charts import chart_of
from sync.department.pages.fields import Options
from sync.department.pages.sheets import Ask, File, Listing, PageLink, Sheet, download, pages_of
from sync.department.pages.visit import Page, Visit
from sync.department.policy.clauses import clause_rows


async def show(visit: Visit) -> Response:
    """Show the public counts, computed only from the log, with the policy's text and the form of a
    request."""
    front = visit.calling.front
    newest = await visit.calling.in_thread(lambda: front.public_counts.newest(front.desk))
    charts = [
        chart_of("Searches by purpose", [(one.name, one.count) for one in newest.inquiries_by_purpose]),
        chart_of("Accesses by kind", [(one.name, one.count) for one in newest.accesses]),
    ]
    clauses = [(name, list(rows)) for name, rows in groupby(clause_rows(), lambda one: one.clause)]
    return visit.page("transparency.html", counts=newest, charts=charts, clauses=clauses, about=_about(visit))


async def policy(visit: Visit) -> Response:
    """Answer with the signed policy file, byte for byte."""
    document = visit.calling.front.desk.policy_document
    return download(File(name="policy.toml", data=document, kind="application/toml"), visit)


def _about(_visit: Visit) -> Options:
    return [(one, words[:1].upper() + words[1:]) for one, words in rules.ABOUT.items()]


async def paper(visit: Visit) -> Response:
    """Show the request as a form to print."""
    return visit.page("redress_paper.html", about=_about(visit), days=rules.ANSWER_DAYS)


async def send(visit: Visit) -> Response:
    """Take a request for redress."""
    values, client = visit.values, visit.request.client
    form = RedressForm(
        about=values.get("about", ""), contact=values.text("contact"), words=values.text("words")
    )
    front, address = visit.calling.front, client.host if client else ""
    key, typed = visit.once()
    asked = await visit.calling.once(key, "redress", typed, lambda: ask(front, address, form))
    return visit.page("redress_taken.html", asked=asked)


REDRESS = Sheet(
    path="/redress",
    title="Requests from the public",
    duty="463.4: a person asks whether a wrong read, a stop or a lookup concerned them. Examine it, inform "
    "the person, then enter the outcome.",
    links=(
        PageLink("/redress/paper", "Paper form to print"),
        PageLink("/transparency", "What the public sees"),
    ),
    listings=(
        Listing(
            operation="redress/list",
            title="Requests, waiting ones first",
            columns=(
                *("request", "at_us", "due_us", "about", "contact", "words", "outcome", "note"),
                *("answered_by", "entered_by"),
            ),
            empty="No request yet.",
            codes={"about": rules.ABOUT, "outcome": rules.OUTCOMES},
            late=lambda row, now_us: not row.outcome and now_us >= row.due_us,
            acts=(
                Ask(
                    operation="redress/answer",
                    title="Enter the answer",
                    fixed={"request": "request"},
                    options={"outcome": lambda _visit: list(rules.OUTCOMES.items())},
                    when=lambda row, _visit: not row.outcome,
                    said=lambda answer: f"Entered, entry {answer.entry}.",
                ),
            ),
        ),
    ),
    asks=(
        Ask(
            operation="redress/enter",
            title="Enter a request that came on paper",
            button="Enter it",
            lead="As on the form. The days until its answer count from its receipt.",
            options={"about": _about},
            said=lambda answer: (
                f"Request {answer.request}: answer it within {counted(answer.days, 'day')}. "
                "Write the number on the paper form."
            ),
        ),
    ),
)
PAGES = (
    Page(path="/transparency", show=show, send=send, to_all=True),
    Page(path="/transparency/policy.toml", show=policy, to_all=True),
    Page(path="/redress/paper", show=paper, to_all=True),
    *pages_of(REDRESS),
)
