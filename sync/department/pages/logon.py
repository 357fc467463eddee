"""Log in, unlock, log out."""

from __future__ import annotations

import contextlib

from starlette.responses import Response

from sync.department.desk import sessions
from sync.department.desk.api import address_of
from sync.department.desk.logon_forms import BeginForm, LogonForm, UnlockForm
from sync.department.pages import shield
from sync.department.pages.visit import Page, Visit
from sync.department.policy.refusals import DeskRefusal, LockedError

NO_PLACE = {"/logon", "/logoff", "/unlock", "/unlock/passkey", "/lock", "/awake"}


async def show(visit: Visit, status: int = 200) -> Response:
    """Show the form of user, password and code."""
    if visit.who is not None and visit.refusal is None:
        path = _next(visit)
        return visit.to("/" if path.partition("?")[0] in NO_PLACE else path)
    posts = [(one, one) for one in visit.calling.front.desk.policy.sessions.staffed_posts]
    return visit.page("logon.html", status, posts=posts, next=_next(visit))


def _next(visit: Visit) -> str:
    asked = visit.values.get("next") or visit.request.query_params.get("next") or visit.values.get("from")
    if not asked and visit.request.url.path not in NO_PLACE:
        asked = visit.request.url.path
    return shield.local_path(asked or "/")


async def send(visit: Visit) -> Response:
    """Begin a session with a new token, whatever the browser sent."""
    values = visit.values
    form = LogonForm(passkey=values.get("passkey", ""), post=values.text("post"))
    if not form.passkey:
        form = LogonForm(
            user=values.text("user"),
            password=values.get("password", ""),
            code=values.text("code").replace(" ", ""),
            post=values.text("post"),
        )
    made = await visit.calling.logon(form, address_of(visit.request))
    if visit.who is not None:
        await end(visit)
    visit.token, visit.who = made.token, made
    answer = visit.to("/account/password" if made.must_change else _next(visit))
    shield.set_session(answer, made.token)
    return answer


async def passkey(visit: Visit) -> Response:
    """Answer the browser with the options of a login by passkey."""
    form, address = BeginForm(user=visit.values.text("user")), address_of(visit.request)
    begun = await visit.calling.begin_passkey(form, address)
    return visit.data(begun.options)


async def end(visit: Visit) -> None:
    """End the session that the browser sent."""
    visit.memory.forget(visit.session)
    with contextlib.suppress(DeskRefusal):
        await visit.calling.logoff(visit.token)


async def log_off(visit: Visit) -> Response:
    """End the session here and in the browser."""
    if visit.who is not None:
        await end(visit)
    visit.token, visit.who = "", None
    answer = visit.to("/logon")
    shield.end_session(answer)
    return answer


async def locked(visit: Visit) -> Response:
    """Show the page of a locked session, without anything that was typed."""
    user, desk = visit.person.user, visit.calling.front.desk
    visit.memory.return_drafts(user, visit.session)
    drafts = visit.memory.drafts(user)
    passkeys = bool(desk.book.signers.passkeys.get(user))
    status = 200 if visit.refusal else 423
    session = sessions.find(desk.book.sessions, visit.token)
    last_us = await visit.calling.in_thread(lambda: desk.log.last_used(session.digest) or 0)
    why = sessions.locked_words(desk.policy, session, last_us)
    shown = {"next": _next(visit), "drafts": drafts, "passkeys": passkeys, "why": why, "follows": False}
    return visit.page("locked.html", status, **shown)


async def unlock(visit: Visit) -> Response:
    """Unlock the session and return to the form."""
    values = visit.values
    form = UnlockForm(passkey=values.get("passkey", ""))
    if not form.passkey:
        form = UnlockForm(password=values.get("password", ""), code=values.text("code").replace(" ", ""))
    await visit.calling.unlock(visit.token, form, address_of(visit.request))
    return visit.to(_next(visit))


async def unlock_passkey(visit: Visit) -> Response:
    """Answer the browser with the options of an unlock by passkey."""
    begun = await visit.calling.begin_unlock(visit.token)
    return visit.data(begun.options)


async def lock(visit: Visit) -> Response:
    """Lock the session, at the person's request or an idle page's. The page's form is kept until the
    unlock."""
    here = shield.local_path(visit.values.get("from", "/"))
    visit.keep_draft(visit.person.user, here)
    if visit.values.ticked("now"):
        await visit.calling.logoff(visit.token, lock=True)
    try:
        await visit.demand("policy/read")
    except LockedError:
        return await locked(visit)
    return visit.to(here)


async def awake(visit: Visit) -> Response:
    """Count the session as used, since a person types. This makes no entry."""
    await visit.demand("policy/read")
    return Response(status_code=204, headers=shield.headers_of(visit.nonce))


PAGES = (
    Page(path="/logon", show=show, send=send, to_all=True),
    Page(path="/logon/passkey", send=passkey, again=show, to_all=True),
    Page(path="/logoff", send=log_off, to_all=True),
    Page(path="/unlock", send=unlock, again=locked),
    Page(path="/unlock/passkey", send=unlock_passkey, again=locked),
    Page(path="/lock", send=lock),
    Page(path="/awake", send=awake),
)
