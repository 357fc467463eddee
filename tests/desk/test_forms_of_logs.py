"""A log keeps the rules of the form in which it began, and the key service keeps its state over restarts."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from desk_asking import look_up
from desk_forms import forms
from desk_root import Root, account_form, problems
from desk_twins import GROUND, Department

from storage.ssh_signature import SshPublicKey
from sync.department.desk.sharing.calls import DeliverForm, Delivery, Recorded, ReviewForm
from sync.department.journal import check_log
from sync.department.journal.access_log import KEYS, AuditKeys
from sync.department.journal.entries import ALL_TRAINED, NEWEST_FORM, AccessLogOpened
from sync.department.journal.signers import Signers
from sync.department.journal.unsigned import UnsignedError


@pytest.mark.parametrize(("form", "counts"), [(ALL_TRAINED, True), (NEWEST_FORM, False)])
def test_an_ssh_key_that_one_person_gave_counts_on_in_a_log_of_form_8(
    department: Department, form: int, counts: bool
) -> None:
    root, known = Root(department), department.desk.book.roster.accounts["comm1"]
    key = SshPublicKey.of(Ed25519PrivateKey.from_private_bytes(bytes(32)))
    by = root.signed("chief", "user/set", account_form(known, ssh_keys=(key.line,)))
    given = root.write(replace(known, ssh_keys=(key.blob,), reason="as discussed"), *by)
    signers, refused = Signers(), []
    first, *others = department.desk.log.entries()
    assert isinstance(first.note, AccessLogOpened)
    for entry in (replace(first, note=replace(first.note, signs=form)), *others):
        try:
            signers.apply(entry)
        except UnsignedError:
            refused.append(entry.sequence)
    assert refused == ([] if counts else [given])
    assert bool(signers.accounts["comm1"].ssh_keys) is counts


def test_a_key_service_that_starts_again_knows_which_requests_were_reviewed(department: Department) -> None:
    call, every = department.call, forms(department)
    asked = call("share/record", department.logon("deputy"), every["share/record"])
    assert isinstance(asked, Recorded)
    review = ReviewForm(request=asked.entry, note="in order")
    call("share/review", department.logon("chief"), review)
    look_up(department, department.logon("comm1"))
    department.restart()
    call("share/decide", department.logon("chief"), replace(every["share/decide"], request=asked.entry))
    department.restart()
    answer = call("share/deliver", department.logon("super"), DeliverForm(request=asked.entry, ground=GROUND))
    assert isinstance(answer, Delivery)
    assert problems(department) == ()


def test_verify_says_by_which_rules_a_log_began(
    department: Department, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root can found a department with an earlier version, whose rules are weaker."""

    def said() -> list[str]:
        log = department.desk.log
        report = check_log.check(log.folder, log.public, keys=AuditKeys(log.folder / KEYS))
        assert report.problems == ()
        return [one for one in report.unchecked if one.startswith("what logs of a later form ask")]

    assert said() == []
    monkeypatch.setattr(check_log, "NEWEST_FORM", NEWEST_FORM + 1)
    assert [f"this one is of form {NEWEST_FORM}" in one for one in said()] == [True]
