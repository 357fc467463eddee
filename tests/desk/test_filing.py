"""Filing lookups by case, lists of people, and what a requester sees."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from desk_asking import look_up
from desk_twins import GROUND, Department

from storage.codec import to_bytes
from storage.times import DAY_US
from sync.department.desk.inquiry.filing import MAX_FILINGS, read_filings
from sync.department.desk.inquiry.forms import (
    AskForm,
    DeclineForm,
    Entered,
    FileCaseForm,
    FiledMany,
    FileManyForm,
    Filing,
    NothingForm,
)
from sync.department.desk.people.sheets import read_people, read_sign_in
from sync.department.journal.access_log import MAX_ENTRY_BYTES
from sync.department.journal.entries import Filed
from sync.department.journal.statements import MAX_BYTES, form_bytes
from sync.department.policy.refusals import FormError
from sync.department.policy.roles import Role

Tokens = Callable[[str], str]


def test_requests_are_filed_by_case_and_by_import_all_or_none(department: Department, tokens: Tokens) -> None:
    comm = tokens("comm1")
    first = [look_up(department, comm) for _ in range(3)]
    other = look_up(department, comm, "26-005555")
    made = department.call(
        "inquiry/file-case", comm, FileCaseForm(number="26-001234", rms_number="RMS-26-77")
    )
    assert made == FiledMany(filed=3)
    assert [row.entry for row in department.call("inquiry/unfiled", comm, NothingForm())] == [other]  # type: ignore[attr-defined]
    with pytest.raises(FormError):
        department.call("inquiry/file-case", comm, FileCaseForm(number="26-001234", rms_number="RMS-26-77"))
    lines = read_filings(
        f"access,rms_number\n{other},RMS-26-78\n{first[0]},RMS-26-80\n{first[0]},RMS-26-79\n".encode()
    )
    assert department.call("inquiry/file-many", comm, FileManyForm(filings=lines)) == FiledMany(filed=2)
    filed = {row.entry: row.rms_number for row in department.front.requests.of(department.desk.log)}
    assert (filed[other], filed[first[0]], filed[first[1]]) == ("RMS-26-78", "RMS-26-79", "RMS-26-77")
    size = department.desk.log.size()
    bad = (Filing(access=first[1], rms_number="RMS-26-80"), Filing(access=0, rms_number="RMS-26-81"))
    with pytest.raises(FormError):
        department.call("inquiry/file-many", comm, FileManyForm(filings=bad))
    kinds = {entry.note.KIND for entry in department.desk.log.entries(size)}
    assert "filed" not in kinds


def test_an_import_by_case_that_was_cut_into_parts_is_taken_part_by_part(
    department: Department, tokens: Tokens
) -> None:
    comm = tokens("comm1")
    for number in ("26-001234", "26-001234", "26-005555"):
        look_up(department, comm, number)

    def take(*lines: str) -> object:
        data = "".join(f"{line}\n" for line in ("number,rms_number", *lines)).encode()
        return department.call("inquiry/file-many", comm, FileManyForm(filings=read_filings(data)))

    assert take("26-001234,RMS-26-77") == FiledMany(filed=2)
    assert take("26-001234,RMS-26-77", "26-005555,RMS-26-78") == FiledMany(filed=1)
    size = department.desk.log.size()
    assert take("26-001234,RMS-26-77", "26-005555,RMS-26-78") == FiledMany(filed=0)
    assert "filed" not in {entry.note.KIND for entry in department.desk.log.entries(size)}
    later = look_up(department, comm)
    assert take("26-001234,RMS-26-77") == FiledMany(filed=1)
    filed = {row.entry: row.rms_number for row in department.front.requests.of(department.desk.log)}
    assert filed[later] == "RMS-26-77"
    with pytest.raises(FormError) as refused:
        take("26-001234,RMS-26-99", "26-005555,RMS-26-78", "26-000999,RMS-1", "26-000999,RMS-2")
    assert [part.what for part in refused.value.parts] == [
        "case 26-001234: all of its accesses are filed already",
        "case 26-000999: no access is under that number",
    ]


def test_the_longest_import_is_one_signed_call_and_one_entry() -> None:
    lines = tuple(Filing(access=10**14 + at, rms_number="R" * 39 + "1") for at in range(MAX_FILINGS))
    by_case = tuple(Filing(number="2" * 40, rms_number="R" * 39 + "1") for _ in range(MAX_FILINGS))
    assert max(len(form_bytes(FileManyForm(filings=one))) for one in (lines, by_case)) < MAX_BYTES - 1024
    note = Filed(access=1, rms_number="R-1", more=tuple((one.access, one.rms_number) for one in lines))
    assert len(to_bytes(note)) + MAX_BYTES < MAX_ENTRY_BYTES


HEAD = b"access,rms_number\n"


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "the export is empty"),
        (b"\xef\xbb\xbf\r\n\n", "the export is empty"),
        (b"a,b\n1,2\n", "must name the columns rms_number and access"),
        (b"access;rms_number\n1;RMS-1\n", "must name the columns rms_number and access"),
        ("access，rms_number\n1，RMS-1\n".encode(), "must name the columns rms_number and access"),
        (b"rms_number\nRMS-1\n", "must name the columns rms_number and access"),
        (HEAD + b"x,RMS-1\n", "line 2: access is not a number"),
        (HEAD + "１２,RMS-1\n".encode(), "line 2: access is not a number"),
        (HEAD + b"\n1,RMS-1\n\n-2,RMS-1\n", "line 5: access is not a number"),
        (HEAD + b",RMS-1\n", "line 2: names neither an access nor a case"),
        (HEAD + b"1,none\n", "line 2: an RMS number has"),
        (HEAD + b'1,"RMS\n1"\nx,RMS-1\n', "line 2: an RMS number has .*; line 4: access is not"),
        (HEAD + b'1,RMS-1\n2,"RMS-2\n3,RMS-3\n', "line 3 of the export has a quote that is not closed"),
        (b"access,rms_number,access\n1,RMS-1,2\n", "line 1 of the export names the column access twice"),
        (HEAD + b"1,RMS-1,RMS-2\n", "line 2 of the export has 3 cells for 2 columns"),
        (HEAD + b"1,RMS-1\n" * 100_000, "the export has 100,000 lines; it may have 1 to 2,000"),
        (HEAD, "the export has 0 lines"),
        (HEAD + b"1,RMS-1\n2,\xff\n", "the export is not in UTF-8: line 3"),
        (b"rms_number,access,note\nR-1,12," + b"x" * 200_000, "was the file cut off"),
        (b"rms_number,access,note\nR-1,12," + b"x" * 200_000 + b"\n", "line 2 of the export has a"),
        (b"PK\x03\x04\x14", "a spreadsheet's own file"),
    ],
)
def test_what_is_not_an_export_of_rms_numbers_is_refused_by_line_and_field(data: bytes, what: str) -> None:
    with pytest.raises(FormError, match=what):
        read_filings(data)


@pytest.mark.parametrize(
    "data",
    [
        b"\n\r\n" + HEAD + b"41,RMS-1\n",
        b"\xef\xbb\xbf\r\nAccess,RMS_Number\r\n41,RMS-1\r\n",
        b"access,rms_number\r41,RMS-1\r",
        b'note,"access",rms_number,\n"a\nb, c",41,"RMS-1",\n',
    ],
)
def test_an_export_is_read_however_its_lines_end(data: bytes) -> None:
    assert read_filings(data) == (Filing(access=41, rms_number="RMS-1"),)


def test_a_requester_sees_what_waits_and_why_one_was_declined(department: Department, tokens: Tokens) -> None:
    form = AskForm(query=department.plate("8XYZ123"), ground=GROUND)
    first = department.call("inquiry/request", tokens("officer1"), form)
    second = department.call("inquiry/request", tokens("officer1"), form)
    assert isinstance(first, Entered)
    assert isinstance(second, Entered)
    department.call(
        "inquiry/decline", tokens("comm1"), DeclineForm(request=first.entry, reason="no such case")
    )
    rows = department.call("inquiry/requests", tokens("officer1"), NothingForm())
    assert [(one.request, one.state, one.reason) for one in rows] == [  # type: ignore[attr-defined]
        (second.entry, "waiting", ""),
        (first.entry, "declined", "no such case"),
    ]
    assert department.call("inquiry/requests", tokens("analyst1"), NothingForm()) == ()
    department.clock.step(92 * DAY_US)  # the key service no longer opens anything for it
    assert department.call("inquiry/queue", department.logon("comm1"), NothingForm()) == ()
    rows = department.call("inquiry/requests", department.logon("officer1"), NothingForm())
    assert [one.state for one in rows] == ["out of date", "declined"]  # type: ignore[attr-defined]


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_a_list_of_people_or_numbers_that_was_cut_names_no_other_person(end: bytes) -> None:
    """`officer12` without its last character is another officer, whose training would be recorded."""
    for data, read in (
        (b"user\nofficer1\nofficer12", read_sign_in),
        (b"user,name,roles\no1,Officer One,ccat-supervisor;administrator", read_people),
        (b"access,rms_number\n12,RMS-26-001", read_filings),
        (b"rms_number,access,officer\nRMS-26-001,123", read_filings),
    ):
        if end:
            assert read(data + end)
            continue
        for length in range(data.index(b"\n") + 1, len(data) + 1):
            if not data[:length].endswith(b"\n"):
                with pytest.raises(FormError, match=r"was the file cut off\?|lines"):
                    read(data[:length])


def test_a_list_is_whole_where_its_last_line_ends_in_a_cell_that_is_not_read() -> None:
    data = b"PK_no,rms_number,access,officer\n7,RMS-26-001,123,"
    assert (
        read_filings(data) == read_filings(data + b"jones") == (Filing(access=123, rms_number="RMS-26-001"),)
    )


def test_lists_of_people_name_the_line_that_is_wrong(tmp_path: Path) -> None:
    good = b"user,name,roles\no1,Officer One,sworn-officer\nd1,Disp One,dispatcher;ccat\n"
    assert read_people(good)[1] == ("d1", "Disp One", (Role.DISPATCHER, Role.CCAT))
    assert read_sign_in(b"user\no1\nd1\n") == ("o1", "d1")
    assert read_sign_in(b"user,signed\no1,x\nd1,\nd2, \nd3,yes\n") == ("o1", "d3")
    for bad in (b"", b"user\n", b"name\nx\n", b"user\nNOT A USER\n", b"\xff", b"user,signed\no1,\n"):
        with pytest.raises(FormError):
            read_sign_in(bad)
    for bad in (b"user,name,roles\no1,,sworn-officer\n", b"user,name,roles\no1,O,king\n"):
        with pytest.raises(FormError, match="line 2"):
            read_people(bad)
