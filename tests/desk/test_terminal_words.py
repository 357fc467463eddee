"""What the terminal shows people: labels, next commands, digests of long keys, and no program syntax."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from desk_twins import Department

from sync.command_frame import Common
from sync.department.cli import _explain
from sync.department.commands import desk_access
from sync.department.desk.changes.calls import _words
from sync.department.desk.field_help import in_labels
from sync.department.desk.holds.calls import Placed
from sync.department.desk.people.calls import AccountEntered
from sync.department.policy.refusals import FormError
from sync.department.server import ceremony
from sync.root_file import RootWitness


def test_a_proposal_is_shown_without_the_marks_of_a_program() -> None:
    said = {"number": "26-001234", "number_kind": "case", "cad": None}
    assert _words(said, {}) == "Number: 26-001234; Kind of number: case"
    assert _words([0, 1_790_000_000_000_000], {}, "since_us") == ", 2026-09-21T14:13:20Z"


def test_a_call_that_only_proposed_names_the_next_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert desk_access.Terminal(Common(Path()), None).wait(Placed(hold=-1, reads=0, proposal=41)) == 0
    out = capsys.readouterr().out
    assert out.startswith("proposal 41; another person: department change approve 41")
    assert "hold: -" not in out


def test_no_warning_is_not_shown_as_one(capsys: pytest.CaptureFixture[str]) -> None:
    terminal = desk_access.Terminal(Common(Path()), None)
    terminal.show(AccountEntered(entry=16))
    terminal.show(AccountEntered(entry=17, warning="no one is left to approve"))
    shown = capsys.readouterr().out
    assert shown == "entry: 16\nentry: 17\nwarning: no one is left to approve\n"


def test_a_refused_field_has_its_label_at_the_terminal() -> None:
    refused = FormError("GrantForm.hours: is negative", code="hours", clause="463.5")
    assert _explain(refused, Common(Path()))[0] == "refused: 463.5: Lasts: is negative"
    assert in_labels("HoldForm.ground.number_kind: is missing; X: y") == "Kind of number: is missing; X: y"


def test_a_long_key_of_a_witness_is_shown_as_its_digest(
    department: Department,
) -> None:
    long = f"w.example/w+01234567+{'A+b' * 900}"
    root = replace(department.desk.root, witnesses=(RootWitness(keys=(long,), url="https://w.example"),))
    (short,) = [one for one in ceremony.lines_of(root) if one.startswith("witness ")]
    assert f"w.example/w+01234567+(SHA-256 of this key's text: {sha256(long.encode()).hexdigest()})" in short
    assert any(long in one for one in ceremony.lines_of(root, whole=True))
    assert long in "".join(ceremony.changed_lines(root, root, whole=True))
