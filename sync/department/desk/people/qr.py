"""The authenticator's secret as a QR code: for a terminal, and as SVG for a page. No I/O."""

from __future__ import annotations

import io

import segno


def qr_text(uri: str) -> str:
    """A QR code of half-height blocks, for a terminal of 80 columns."""
    out = io.StringIO()
    segno.make(uri, error="l", micro=False).terminal(out, border=2, compact=True)
    return out.getvalue().rstrip("\n")


def qr_svg(uri: str) -> str:
    """The same as an SVG element without a script, a style or a link."""
    return str(segno.make(uri, error="m", micro=False).svg_inline(scale=4, border=4))
