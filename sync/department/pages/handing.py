"""First passwords and authenticator secrets that a page shows once, to be handed over. No I/O."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from sync.department.desk.people.qr import qr_svg


def secrets_of(answer: Any) -> list[tuple[str, str, Markup]]:
    """(user, first password, QR code) of what is handed over once; no QR code for a kept authenticator."""
    people = getattr(answer, "people", None) or (answer,)
    return [
        (one.user, one.password, Markup(qr_svg(one.totp_uri) if one.totp_uri else ""))  # noqa: S704 - made by the QR library
        for one in people
        if getattr(one, "password", "")
    ]
