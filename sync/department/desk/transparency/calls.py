"""The public counts at the desk: what everybody sees, since a wanted person may have an account here."""

from __future__ import annotations

from sync.department.desk.context import DeskContext
from sync.department.desk.inquiry.forms import NothingForm
from sync.department.desk.transparency.rules import Transparency
from sync.department.policy.roles import Call


def read(front: DeskContext, token: str, form: NothingForm) -> Transparency:  # noqa: ARG001
    """Show the public counts up to the end of the last week."""
    front.desk.demand(token, Call.POLICY_READ)
    return front.public_counts.newest(front.desk)
