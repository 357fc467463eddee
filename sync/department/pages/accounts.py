"""One's own account: the password, the authenticator, what ends when."""

from __future__ import annotations

from markupsafe import Markup
from starlette.responses import Response

from sync.department.desk.people.calls import HandedOver
from sync.department.desk.people.qr import qr_svg
from sync.department.pages.visit import Page, Visit
from sync.department.policy.refusals import FormError
from sync.department.policy.roles import Call


async def show(visit: Visit) -> Response:
    """Who one is here, and what ends when."""
    await visit.demand("policy/read")
    passkeys = await visit.call("user/passkeys") if visit.may(Call.TRAINING_READ) else None
    return visit.page("account.html", drafts=visit.memory.drafts(visit.person.user), passkeys=passkeys)


async def passkey_options(visit: Visit) -> Response:
    """What the browser's authenticator is asked, for a new passkey."""
    made = await visit.call("user/passkey-options")
    return visit.data(made.options)


async def passkey(visit: Visit) -> Response:
    """Register a passkey, or remove one."""
    gone = visit.values.get("credential_id", "")
    if gone:
        await visit.call("user/remove-passkey", credential_id=gone)
        visit.say("The passkey is removed.")
    else:
        name, response = visit.values.text("name"), visit.values.get("response", "")
        await visit.call("user/passkey", name=name, response=response)
        visit.say("The passkey is registered: the next log-on can use it.")
    return visit.to("/account")


async def password(visit: Visit) -> Response:
    """The form of a new password."""
    await visit.demand("policy/read")
    least = visit.calling.front.desk.policy.security.password_min
    return visit.page("password.html", least=least, must=visit.person.must_change)


async def must_change(visit: Visit) -> Response:
    """The same, if nothing else is available until it is changed."""
    return await password(visit)


async def set_password(visit: Visit) -> Response:
    """Change it. The authenticator stays, unless another person made it or a new one is asked."""
    values = visit.values
    if values.get("new", "") != values.get("again", ""):
        raise FormError(
            "the two new passwords differ",
            code="password",
            clause="CJIS IA-5",
            cure="type it again",
        )
    made: HandedOver = await visit.call(
        "user/password",
        old=values.get("old", ""),
        new=values.get("new", ""),
        new_authenticator=values.ticked("new_authenticator"),
    )
    if not made.totp_uri:
        visit.say("The password is changed. The authenticator is unchanged; other sessions have ended.")
        return visit.to("/account")
    secret = made.totp_uri.partition("secret=")[2].partition("&")[0]
    return visit.page("authenticator.html", qr=Markup(qr_svg(made.totp_uri)), secret=secret)  # noqa: S704


PAGES = (
    Page(path="/account", show=show),
    Page(path="/account/passkeys", send=passkey, again=show),
    Page(path="/account/passkeys/options", send=passkey_options, again=show),
    Page(path="/account/password", show=password, send=set_password),
)
