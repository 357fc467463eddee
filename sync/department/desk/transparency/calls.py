"""The public counts at the desk, for people who are logged on: as they are now."""

from __future__ import annotations

from sync.department.desk.context import DeskContext
from sync.department.desk.inquiry.forms import NothingForm
from sync.department.desk.transparency.counts import counted
from sync.department.desk.transparency.rules import Transparency
from sync.department.policy.roles import Call


def read(front: DeskContext, token: str, form: NothingForm) -> Transparency:  # noqa: ARG001
    """The public counts as they are now."""
    front.desk.act(token, Call.POLICY_READ, lambda _caller: ([], lambda _entries: None))
    return counted(front.desk)
