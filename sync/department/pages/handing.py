"""First passwords and authenticator secrets that a page shows once, to be handed over. No I/O."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

from markupsafe import Markup

from sync.department.desk.people.qr import qr_svg


def typed_secret(totp_uri: str) -> str:
    """An authenticator's secret, for a person who types it."""
    return parse_qs(urlsplit(totp_uri).query).get("secret", [""])[0]


def secrets_of(answer: Any) -> list[tuple[str, str, Markup, str]]:
    """(user, first password, QR code, the same secret to type) of each person's secrets, handed over once.

    The last two are empty if the authenticator was kept.
    """
    people = getattr(answer, "people", None) or (answer,)
    return [
        (
            one.user,
            one.password,
            Markup(qr_svg(one.totp_uri) if one.totp_uri else ""),  # noqa: S704 - made by the QR library
            typed_secret(one.totp_uri),
        )
        for one in people
        if getattr(one, "password", "")
    ]
