"""Options that several commands share: the requester, and times. Not a command."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from firmware.custody.asking import FOR_EVER_US, time_us
from storage.access import Request, normal_role
from sync.command_frame import collected

F = TypeVar("F", bound=Callable[..., Any])

FILE = click.Path(path_type=Path)

credential_option = click.option(
    "--credential", type=FILE, metavar="KEYFILE",
    help="SSH private key of the user. Without one the command asks for the password (or READER_PASSWORD). "
    "A demo home has key files of its demo users.",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Requester:
    """The person, role, purpose and case of a request; the credential proves the person."""

    user: str
    role: str
    purpose: str
    case_number: str
    credential: Path | None

    def request(self, action: str, subject: str) -> Request:
        """The request for one action on one subject."""
        return Request(
            action=action,
            user=self.user,
            role=normal_role(self.role),
            purpose=self.purpose.strip(),
            case_number=self.case_number,
            subject=subject,
        )


person_options = collected(
    "person",
    Requester,
    click.option("--user", required=True, help="User name on the roster."),
    click.option("--role", default="", help="Role of the user, e.g. ccat-supervisor."),
    click.option("--purpose", default="", help="A purpose of 463.2: short name, number 1-6 or sentence."),
    click.option("--case", "case_number", default="", help="Number of the case or incident."),
    credential_option,
)


class TimeOrAge(click.ParamType[int]):
    """An ISO time or an age, as UTC microseconds."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Convert a value. Raises click.BadParameter."""
        if isinstance(value, int):
            return value
        try:
            return time_us(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def period_options(function: F) -> F:
    """Add --since and --until, as `since_us` and `until_us`."""
    until = click.option(
        "--until", "until_us", type=TimeOrAge(), default=FOR_EVER_US, metavar="T", help="As --since."
    )
    since = click.option(
        "--since",
        "since_us",
        type=TimeOrAge(),
        default=0,
        metavar="T",
        help="ISO time (UTC) or age: 12h, 3d.",
    )
    return since(until(function))
