"""Protects pages against misuse by other sites: headers, the session's cookie, a form's mark. No I/O.

The cookie holds the session's token, which is never in a URL. A form is accepted if the browser says that
this site sent it (Sec-Fetch-Site, else Origin) and, in a session, if it carries the session's mark.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from sync.department.ground.person_key import read_token
from sync.department.policy.refusals import DeskRefusal

SESSION_COOKIE = "__Host-desk"
_LOOK = ("theme", "keys", "quiet")  # cookies of display preferences, one word each
NONCE_BYTES = 16
KEPT_HEADERS: Mapping[str, str] = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",  # with no-referrer, browsers send forms with the Origin "null"
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "x-frame-options": "DENY",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), clipboard-read=()",
}
POLICY = (
    "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)


def new_nonce() -> str:
    """A nonce that allows the scripts of one answer."""
    return secrets.token_urlsafe(NONCE_BYTES)


def headers_of(nonce: str) -> dict[str, str]:
    """The headers of every page."""
    return {**KEPT_HEADERS, "content-security-policy": POLICY.format(nonce=nonce)}


def token_of(request: Request) -> str:
    """The session token that the browser sent, or ""."""
    return request.cookies.get(SESSION_COOKIE, "")


def set_session(answer: Response, token: str) -> None:
    """Set the session cookie, which is only sent to this host, over TLS, and hidden from scripts."""
    answer.set_cookie(SESSION_COOKIE, token, path="/", secure=True, httponly=True, samesite="strict")


def end_session(answer: Response) -> None:
    """Clear the session cookie and the pages that the browser kept."""
    answer.delete_cookie(SESSION_COOKIE, path="/", secure=True, httponly=True, samesite="strict")
    answer.headers["clear-site-data"] = '"cache", "storage"'


def signs(token: str) -> bool:
    """Whether calls of this session can be signed in its person's name."""
    return read_token(token).key is not None


def set_taste(answer: Response, name: str, value: str) -> None:
    """Keep one display preference (day or night, keys, sound) in the browser for a year."""
    answer.set_cookie(
        name, value, max_age=31_536_000, path="/", secure=True, httponly=True, samesite="strict"
    )


def tastes_of(request: Request) -> dict[str, str]:
    """The display preferences that the browser sent; malformed ones are ignored."""
    found = {name: request.cookies.get(name, "") for name in _LOOK}
    return {name: value if value.isalpha() and len(value) < 12 else "" for name, value in found.items()}


def mark_of(token: str) -> str:
    """The mark that a session's forms carry, which only a holder of the token can make."""
    return hmac.new(token.encode(), b"alpr-department/pages/form/v1", hashlib.sha256).hexdigest()


def demand_own(request: Request) -> None:
    """Refuse a form that another site sent or whose origin the browser does not state. Raises DeskRefusal."""
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    own = f"{request.url.scheme}://{request.headers.get('host', '')}"
    sent_here = site in {"same-origin", None} and (origin == own or (origin is None and site is not None))
    if not sent_here:
        raise DeskRefusal(
            "this form was not sent by a page of this desk",
            code="other-site",
            clause="CJIS SC-23",
            cure="open the page here, then send it again",
        )


def demand_mark(token: str, mark: str) -> None:
    """Refuse a form without its session's mark. Raises DeskRefusal."""
    if not hmac.compare_digest(mark_of(token).encode(), mark.encode("utf-8", "replace")):
        raise DeskRefusal(
            "this form belongs to another session",
            code="other-form",
            clause="CJIS SC-23",
            cure="you logged in again since it was opened: check what you typed, then send it again",
        )


def local_path(path: str, otherwise: str = "/") -> str:
    """The requested path on this desk; `otherwise` if it could lead elsewhere."""
    plain = path.startswith("/") and not path.startswith(("//", "/\\")) and len(path) < 200
    known = all(one.isalnum() or one in "/-_.?=&#%" for one in path) and path.isascii()
    return path if plain and known else otherwise
