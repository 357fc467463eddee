"""The last check of text before it goes to the cable: anything shaped like a plate is blotted out. No I/O.

Our own log contains no plates by design; this covers text of a library, the kernel or a path as well.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable

COLUMNS = 80  # of a technician's terminal; the last one stays free, since some terminals wrap after it
BLOT = "*****"
_PRINTABLE = re.compile(r"[^\x20-\x7e]")
_NAME_COLUMN = re.compile(r"(?=.{1,32}  )\S+(?: \S+)* {2,}")
# A run of letters and digits with both, or with four or more capitals: this is what a plate looks like.
_PLATE_LIKE = re.compile(r"(?<![A-Za-z0-9])(?=[A-Za-z0-9]*[A-Za-z])[A-Za-z0-9]{3,10}(?![A-Za-z0-9])")
_SPLIT_PLATE = re.compile(r"(?<![A-Za-z0-9])[A-Z0-9]{1,4}[ ._:,/?-]{1,2}[A-Z0-9]{2,5}(?![A-Za-z0-9])")
# In several groups: M-AB 123 (Germany), AB-123-CD (France), 12-ABC-3 (Netherlands), KA 01 AB 1234 (India).
_MORE_PARTS = re.compile(
    r"(?<![A-Za-z0-9])[A-Z0-9]{1,3}(?:[ _-]{1,2}[A-Z0-9]{1,3}){1,2}[ _-]{1,2}[A-Z0-9]{1,4}(?![A-Za-z0-9])"
)
# Digits alone may be a plate, but are mostly numbers: dates, times and versions stay.
_DIGITS = re.compile(
    r"(?<![A-Za-z0-9])\d{5,8}(?![A-Za-z0-9])|(?<![A-Za-z0-9:.-])\d{2,4}[ -]\d{2,5}(?![A-Za-z0-9:.-])"
)
_HARMLESS = frozenset({
    "ERROR", "WARNING", "INFO", "DEBUG", "CRITICAL", "NOTICE", "HTTP", "HTTPS", "GNSS", "NMEA", "DHCP",
    "JPEG", "WLAN", "IPV4", "IPV6", "SHA256", "CBOR", "COSE", "SQLITE", "UTF8", "ED25519",
    "USB0", "USB1", "ETH0", "WLAN0",
    "PPS0", "MMCBLK0", "ALPR1", "C2SP",
})  # fmt: skip


# A complete time (ISO 8601, as in events and the journal), the capability for setting a clock, and the
# packages that a driver's error names.
_SURE = re.compile(
    r"((?<![A-Za-z0-9])(?:20\d\d-[01]\d-[0-3]\dT[0-2]\d:[0-5]\d:[0-6]\d(?:[.,]\d{1,6})?(?:Z|[+-]\d\d:?\d\d)?"
    r"|CAP_SYS_TIME|python3-(?:gpiozero|libcamera|lgpio|picamera2|tpm2-pytss)|picamera2)(?![A-Za-z0-9_]))"
)
# Names that the kernel and systemd give to links (systemd.net-naming-scheme(7)), in lower case. They are only
# exempt before the state in our own text.
_LINK_NAME = (
    r"(?:[a-z]{2,8}\d{1,2}|(?:en|wl|ww|sl)(?:[a-z]\d{1,4}){1,4}|(?:en|wl|ww)x[0-9a-f]{12})(?:\.\d{1,4})?"
)
_LINK = re.compile(rf"{_LINK_NAME}(?= +(?:up|down) )")


def printable(text: str) -> str:
    """The text without anything that a terminal could take for a control sequence."""
    return _PRINTABLE.sub("?", text)


def fitted(line: str) -> list[str]:
    """A line as rows shorter than COLUMNS. A long value continues in its column; words are not cut."""
    if len(line) < COLUMNS:
        return [line]
    name = _NAME_COLUMN.match(line)
    return textwrap.wrap(
        line,
        COLUMNS - 1,
        subsequent_indent=" " * (name.end() if name else 2),
        break_long_words=False,
        break_on_hyphens=False,
    )


def screened_name(name: str) -> str:
    """The name of a network link, unchanged if the kernel gives such names, else screened."""
    return name if re.fullmatch(_LINK_NAME, name) else screened(name)


def screened_link(text: str) -> str:
    """A screened line about a network link; keeps its name if the kernel gives such names."""
    name = _LINK.match(text)
    return screened(text) if name is None else name[0] + screened(text[name.end() :])


def screened_log(text: str) -> str:
    """A line of a library, screened more strictly: also blots out numbers that could be plates."""
    return _but_for_what_is_sure(text, lambda part: _DIGITS.sub(BLOT, _blotted(part)))


def screened(text: str) -> str:
    """The text with every plate-like run blotted out."""
    return _but_for_what_is_sure(text, _blotted)


def _but_for_what_is_sure(text: str, screen: Callable[[str], str]) -> str:
    """Screen a text except for what _SURE matches (the odd parts of the split)."""
    parts = _SURE.split(printable(text))
    return "".join(part if number % 2 else screen(part) for number, part in enumerate(parts))


def _blotted(text: str) -> str:

    def blot(match: re.Match[str]) -> str:
        run = match[0]
        if run.upper() in _HARMLESS:
            return run
        mixed = any(character.isdigit() for character in run)
        return BLOT if mixed or (run.isupper() and len(run) >= 4) else run

    def blot_split(match: re.Match[str]) -> str:
        run = match[0]
        letters = any(character.isalpha() for character in run)
        digits = any(character.isdigit() for character in run)
        if letters and digits:
            return BLOT
        named = any(part in _HARMLESS for part in re.split("[ ._:,/?-]", run))
        return BLOT if letters and len(run) >= 6 and not named else run  # a vanity plate: ABC DEF

    def blot_parts(match: re.Match[str]) -> str:
        signs = [character for character in match[0] if character.isalnum()]
        mixed = len({character.isdigit() for character in signs}) == 2
        return BLOT if mixed and len(signs) >= 5 else match[0]

    return _SPLIT_PLATE.sub(blot_split, _MORE_PARTS.sub(blot_parts, _PLATE_LIKE.sub(blot, text)))
