"""The fresh proof that some calls (desk/proofs.py) require in an open session.

The server keeps the form that required it, and restores it, unsent, after the proof.
"""

from __future__ import annotations

from starlette.responses import Response

from sync.department.desk.api import address_of
from sync.department.desk.calling import ErrorAnswer
from sync.department.desk.logon_forms import ProveForm
from sync.department.pages import shield
from sync.department.pages.visit import Page, Visit

PROOF = "/proof"


async def show(visit: Visit, refusal: ErrorAnswer | None = None) -> Response:
    """Show the form of a fresh proof; with status 401 if a form was refused for lack of one."""
    await visit.demand("policy/read")
    user = visit.person.user
    status = 200 if visit.request.method == "GET" else 401
    return visit.page(
        "proof.html",
        status,
        next=_next(visit),
        proof=visit.values.get("proof") or (refusal.proof if refusal else ""),
        drafts=visit.memory.drafts(user),
        minutes=visit.calling.front.desk.policy.sessions.proof_minutes,
        passkeys=bool(visit.calling.front.desk.book.signers.passkeys.get(user)),
    )


def _next(visit: Visit) -> str:
    """The page to return to."""
    here = visit.request.url.path
    given = visit.values.get("next") or visit.request.query_params.get("next")
    asked = given or visit.values.get("from", here)
    path = shield.local_path(asked)
    return "/" if path.startswith(PROOF) else path


async def send(visit: Visit) -> Response:
    """Take the proof and return to the form."""
    values = visit.values
    form = ProveForm(passkey=values.get("passkey", ""))
    if not form.passkey:
        form = ProveForm(
            password=values.get("password", ""),
            code=values.text("code").replace(" ", ""),
            proof=values.get("proof", ""),
        )
    await visit.calling.prove(visit.token, form, address_of(visit.request))
    visit.say("Proven. Your form is as you left it: send it now.")
    return visit.to(_next(visit))


async def passkey(visit: Visit) -> Response:
    """Answer the browser with the options of a proof by passkey."""
    begun = await visit.calling.begin_proof(visit.token, visit.values.get("proof", ""))
    return visit.data(begun.options)


PAGES = (
    Page(path=PROOF, show=show, send=send),
    Page(path=f"{PROOF}/passkey", send=passkey, again=show),
)
