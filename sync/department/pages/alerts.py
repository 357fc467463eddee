"""Alerts: the live list, and the steps of each alert from its picture to its end (463.7).

The picture comes first, then the plate and state that a person reads, and only then the entry. What was
opened stays with its session; another session looks again, as a separate access.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from starlette.responses import Response

from storage.alert_life import ACTED, AlertAnswer, Fit, Outcome
from sync.department.desk.alerts.calls import AlertLine, Compared, newest_line
from sync.department.desk.alerts.events import EventStream, last_id_of
from sync.department.desk.inquiry.forms import Images
from sync.department.pages.paging import cut
from sync.department.pages.visit import Page, Visit
from sync.department.pages.wording import word_of
from sync.department.policy.refusals import FormError

CLAUSE = "463.7"


@dataclass(slots=True)
class Work:
    """One alert as a session works on it; the repr shows nothing of plate or entry.

    `answered`: this person answered, whatever others said before: a colleague's answer is the next word.
    """

    line: AlertLine
    images: Images | None = field(default=None, repr=False)
    compared: Compared | None = field(default=None, repr=False)
    answered: bool = False

    @property
    def size(self) -> int:
        """The size of its pictures in bytes."""
        return 0 if self.images is None else len(self.images.patch) + len(self.images.overview)


async def show(visit: Visit) -> Response:
    """Show the open alerts: first those that sound, then those that are overdue."""
    lines = sorted(await visit.call("alert/list"), key=lambda line: (not _sounds(line), not line.overdue))
    shown = cut(visit, lines, "open", texts=_texts)
    return visit.page("alerts.html", lines=shown, sounding=sum(one.sounded for one in lines))


def _sounds(line: AlertLine) -> bool:
    return line.sounded and not line.answer and not line.recalled


def _texts(line: AlertLine) -> tuple[str, ...]:
    """The texts of an alert that a person may search in: those that the list shows."""
    states = {
        "entry withdrawn": line.recalled,
        "not verified": _sounds(line),
        "silent": bool(line.silent),
        "list out of date": line.stale,
        "overdue": line.overdue,
    }
    shown = [words for words, is_so in states.items() if is_so]
    return (line.alert, line.says, line.unit, line.next, word_of(line.answer), *shown, *line.silent)


async def events(visit: Visit) -> Response:
    """Stream the alerts as they come. Following does not count as use of the session."""
    return EventStream(await visit.calling.alert_events.follow(visit.token, last_id_of(visit.request)))


async def one(visit: Visit) -> Response:
    """Show one alert: what this session knows of it, and its next step."""
    return _page(visit, await _work(visit))


def _page(visit: Visit, work: Work) -> Response:
    may_act = work.line.answer == AlertAnswer.CONFIRMED and not work.line.owes_clets
    return visit.page(
        "alert.html",
        line=work.line,
        images=work.images,
        compared=work.compared,
        answered=work.answered,
        fits=[(str(fit), word_of(fit), key) for fit, key in zip(Fit, "ync", strict=True)],
        outcomes=[(str(one), word_of(one)) for one in Outcome if may_act or one not in ACTED],
        may_act=may_act,
        clets_minutes=visit.calling.front.desk.policy.alerts.clets_minutes,
    )


def _name(visit: Visit) -> str:
    return str(int(visit.request.path_params["number"]))


async def _work(visit: Visit) -> Work:
    """What this session knows of the alert in the address. Raises FormError if it is not open."""
    await visit.demand("alert/list")
    name = _name(visit)
    known = visit.shelf.get(f"alert/{name}", visit.now_us)
    if isinstance(known, Work):
        if known.images is not None:
            await visit.demand("alert/show")  # a kept picture is only for people who may still open it
        await _renew(visit, known, name)
        return known
    lines: tuple[AlertLine, ...] = await visit.call("alert/list")
    line = next((one for one in lines if one.alert == name), None)
    if line is None:
        raise FormError("there is no such open alert", code="no-alert", clause=CLAUSE, cure="list them again")
    return Work(line)


async def _renew(visit: Visit, work: Work, name: str) -> None:
    """Bring the alert up to date, since others work on it too and its entry can be withdrawn.

    Raises FormError once it has ended.
    """
    front, user = visit.calling.front, visit.person.user
    line = await visit.calling.in_thread(lambda: newest_line(front, name, user))
    if line is None:
        visit.shelf.things.pop(f"alert/{name}", None)
        what = "that alert is closed: another person ended it, or it is no longer shown to you"
        raise FormError(what, code="no-alert", clause=CLAUSE, cure="list them again")
    work.line = line


async def take(visit: Visit) -> Response:
    """Take the step that was sent: look, transcribe, answer, CLETS, close."""
    work, name, values = await _work(visit), _name(visit), visit.values
    step = values.get("do", "")
    if step == "show":
        work.images = await visit.call("alert/show", alert=name)
    elif step == "transcribe":
        made = await visit.call(
            "alert/transcribe", alert=name, plate=values.text("plate"), state=values.text("state")
        )
        _compared(work, made)
    elif step == "answer":
        _compared(work, await visit.call("alert/answer", alert=name, fit=values.get("fit", "")))
        work.answered = True
    elif step == "clets":
        practicable = values.get("practicable", "") == "yes"
        text = values.text("text")
        work.line = await visit.call("alert/clets", alert=name, practicable=practicable, text=text)
        what = f"the reference {text}" if practicable else f"not practicable, because: {text}"
        visit.say(f"CLETS: {what}. If that is mistyped, enter it again.")
    elif step == "close":
        return await _close(visit, name)
    else:
        raise FormError("name the step", code="step", clause=CLAUSE)
    visit.shelf.put(f"alert/{name}", work, visit.now_us, work.size)
    return visit.to(f"/alerts/{name}")


def _compared(work: Work, made: Any) -> None:
    work.compared, work.line = made, made.line


async def _close(visit: Visit, name: str) -> Response:
    values = visit.values
    await visit.call(
        "alert/close", alert=name, outcome=values.get("outcome", ""), text=values.text("outcome_text")
    )
    visit.shelf.things.pop(f"alert/{name}", None)
    visit.say(f"Alert {name} is closed.")
    return visit.to("/alerts")


async def picture(visit: Visit) -> Response:
    """Answer with a picture that this session opened."""
    await visit.demand("alert/show")
    known = visit.shelf.get(f"alert/{_name(visit)}", visit.now_us)
    if not isinstance(known, Work) or known.images is None:
        raise FormError("that picture was not opened here", code="no-alert", clause=CLAUSE)
    part = visit.request.path_params["part"]
    return visit.picture(known.images.patch if part == "patch" else known.images.overview)


PAGES = (
    Page(path="/alerts", show=show),
    Page(path="/alerts/events", show=events),
    Page(path="/alerts/{number:int}", show=one, send=take),
    Page(path="/alerts/{number:int}/{part}", show=picture),
)
