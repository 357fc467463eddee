"""A form whose page its sender may no longer see, or that a colleague answered first, loses nothing typed."""

from __future__ import annotations

from collections.abc import Callable

from desk_root import account_form
from desk_twins import PASSWORD, Department
from office_pages import form_of
from page_reader import WHY, Reader

from sync.department.journal.inquiry_entries import Access
from sync.department.policy.roles import Role

Browser = Callable[[], Reader]


def move(department: Department, user: str, second: str) -> None:
    """Let a person become an officer, as two people enter it."""
    account = department.desk.book.roster.accounts[user]
    form = account_form(account, roles=(Role.OFFICER,), reason="moved to patrol")
    department.two_hands("user/set", department.logon("chief"), form, second=second)


def test_a_role_that_ended_between_form_and_submit_shows_what_was_typed(
    department: Department, reader: Browser
) -> None:
    one = reader()
    one.logon("comm1")
    reason = "drive-by on Myrtle, D'Arcy <b>Núñez</b> محمد"
    typed = WHY | {"plate": "8XYZ123", "justification": reason}
    form = one.get("/search").form("/search") | typed
    move(department, "comm1", "super")
    refused = one.post("/search", form)
    assert refused.status == 403
    assert "None of your roles may run a search" in refused.text
    assert "The page of your form cannot be shown." in refused.text
    for words in (reason, "8XYZ123", WHY["number"], "Only this page still has it"):
        assert words in refused.text
    assert "<b>N" not in refused.html
    assert form["once"] not in refused.html
    assert not any(isinstance(entry.note, Access) for entry in department.desk.log.entries())
    assert "What you typed" not in one.get("/search").text


def test_another_fault_of_that_form_does_not_hide_why_its_page_is_shut(
    department: Department, reader: Browser
) -> None:
    one = reader()
    one.logon("super")
    form = form_of(one.get("/sharing"), "share/record") | {"agency": "pasadena-pd"}
    move(department, "super", "deputy")
    refused = one.post("/sharing", form)
    assert refused.status == 422
    assert "cannot be shown: none of your roles may see other agencies' requests" in refused.text
    assert "Agency pasadena-pd" in refused.text  # as it was typed


def test_no_secret_is_among_what_was_typed(department: Department, reader: Browser) -> None:
    one = reader()
    one.logon("comm1")
    move(department, "comm1", "super")
    refused = one.post("/search", one.get("/ask").form("/ask") | {"plate": "8XYZ123", "password": PASSWORD})
    assert "8XYZ123" in refused.text
    assert PASSWORD not in refused.html


def test_a_request_that_a_colleague_answered_first_says_who(department: Department, reader: Browser) -> None:
    officer, one, other = reader(), reader(), reader()
    officer.logon("officer1")
    officer.post("/ask", officer.get("/ask").form("/ask") | WHY | {"plate": "8XYZ123"})
    one.logon("comm1")
    other.logon("disp1")
    first, second = one.get("/queue"), other.get("/queue")
    (path,) = {action for action, _ in first.forms if action.startswith("/queue/")}
    assert one.send(first, path, do="run").status == 200
    for step in ({"do": "run"}, {"do": "decline", "reason": "name the street"}):
        late = other.send(second, path, **step)
        assert (late.status, late.path) == (409, path)
        assert "Comm1 answered that request already" in late.text
    assert other.post("/queue/99999", second.form(path) | {"do": "decline", "reason": "no"}).status == 422
