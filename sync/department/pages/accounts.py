"""A person's own account: the password, the authenticator, what ends when."""

from __future__ import annotations

from markupsafe import Markup
from starlette.responses import Response

from sync.department.desk.people.new_secrets import NONE_WAITS
from sync.department.desk.people.qr import qr_svg
from sync.department.pages import logon, shield
from sync.department.pages.handing import typed_secret
from sync.department.pages.visit import Page, Visit
from sync.department.policy.refusals import FormError
from sync.department.policy.roles import Call


async def show(visit: Visit) -> Response:
    """Show the person's account, and what ends when."""
    await visit.demand("policy/read")
    passkeys = await visit.call("user/passkeys") if visit.may(Call.TRAINING_READ) else None
    return visit.page("account.html", drafts=visit.memory.drafts(visit.person.user), passkeys=passkeys)


async def passkey_options(visit: Visit) -> Response:
    """Answer the browser with the options for a new passkey."""
    made = await visit.call("user/passkey-options")
    return visit.data(made.options)


async def passkey(visit: Visit) -> Response:
    """Register or remove a passkey."""
    gone = visit.values.get("credential_id", "")
    if gone:
        await visit.call("user/remove-passkey", credential_id=gone)
        visit.say("The passkey is removed.")
    else:
        name, response = visit.values.text("name"), visit.values.get("response", "")
        await visit.call("user/passkey", name=name, response=response)
        visit.say("The passkey is registered: you can use it at the next login.")
    return visit.to("/account")


async def password(visit: Visit) -> Response:
    """Show the form for a new password.

    It has a new authenticator if another person made the present one or the address asks for it. A refused
    form comes back without a picture, since the one that was scanned still waits.
    """
    await visit.demand("policy/read")
    least, uri = visit.calling.front.desk.policy.security.password_min, ""
    asked = visit.values.get("new_authenticator", visit.request.query_params.get("new_authenticator", ""))
    renews = visit.person.replaces_authenticator or asked == "yes"
    scanned = "new_code" in visit.values and NONE_WAITS not in (visit.refusal.codes if visit.refusal else ())
    if renews and not scanned:
        uri = (await visit.call("user/authenticator")).totp_uri
    qr = Markup(qr_svg(uri) if uri else "")  # noqa: S704 - made by the QR library
    secret, must = typed_secret(uri), visit.person.must_change
    return visit.page("password.html", least=least, must=must, qr=qr, secret=secret, renews=renews)


async def must_change(visit: Visit) -> Response:
    """Show the same form when nothing else is available until the password is changed."""
    return await password(visit)


async def set_password(visit: Visit) -> Response:
    """Change the password.

    The authenticator stays, unless another person made it or a new one is asked for. The new one is in force
    from its first code.
    """
    values = visit.values
    if values.get("new", "") != values.get("again", ""):
        raise FormError(
            "the two new passwords differ",
            code="password",
            clause="CJIS IA-5",
            cure="type it again",
        )
    renews = values.ticked("new_authenticator")
    code = values.text("new_code").replace(" ", "")
    await visit.call(
        "user/password",
        old=values.get("old", ""),
        new=values.get("new", ""),
        new_authenticator=renews,
        code=code,
    )
    what = "The new authenticator is in force" if renews else "The authenticator is unchanged"
    if shield.signs(visit.token):
        visit.say(f"The password is changed. {what}; other sessions have ended.")
        return visit.to("/account")
    # a session that another person's password opened signs nothing, so the person logs in with their own
    await logon.end(visit)
    visit.token, visit.who = "", None
    answer = visit.page("authenticator.html", what=what)
    shield.end_session(answer)
    return answer


PAGES = (
    Page(path="/account", show=show),
    Page(path="/account/passkeys", send=passkey, again=show),
    Page(path="/account/passkeys/options", send=passkey_options, again=show),
    Page(path="/account/password", show=password, send=set_password),
)
