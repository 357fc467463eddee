"""Inquiries: what they must say, who runs them, the queue, the second person, what the entry contains."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import drawn_images
import pytest
from desk_asking import account
from desk_twins import CAD, GROUND, Department
from flipped import flip

from storage.times import DAY_US, HOUR_US
from sync.department.content.key_door import Cover
from sync.department.desk.audit.rules import NOT_FILED, RequestFold
from sync.department.desk.inquiry.forms import (
    Answer,
    AskForm,
    DeclineForm,
    DisputeForm,
    Entered,
    FileForm,
    ImageForm,
    Images,
    InquiryDecideForm,
    NothingForm,
    ProposeForm,
    RequestForm,
    RunForm,
)
from sync.department.journal.entries import Refused
from sync.department.journal.inquiry_entries import Access, AccessEnded, Area, Ground, Query
from sync.department.policy.refusals import DeskRefusal, FormError
from sync.department.policy.roles import Role

Tokens = Callable[[str], str]


def run(department: Department, token: str, query: Query, **more: int) -> Answer:
    answer = department.call("inquiry/run", token, RunForm(query=query, ground=GROUND, **more))
    assert isinstance(answer, Answer)
    return answer


def entered(value: object) -> int:
    assert isinstance(value, Entered)
    return value.entry


def test_a_search_finds_the_reads_that_units_delivered(department: Department, tokens: Tokens) -> None:
    answer = run(department, tokens("comm1"), department.plate("8xyz-123"))
    assert answer.count == 3
    assert {one.plate for one in answer.reads} == {"8XYZ123"}
    assert [one.first_us for one in answer.reads] == sorted(
        (one.first_us for one in answer.reads), reverse=True
    )
    assert not answer.unwitnessed
    assert run(department, tokens("super"), department.plate("1NONE11")).count == 0


def test_the_entry_holds_what_463_5_b_asks_for(department: Department, tokens: Tokens) -> None:
    answer = run(department, tokens("comm1"), department.plate("8XYZ123"))
    log = department.desk.log
    entry = log.entry(answer.access)
    assert isinstance(entry.note, Access)
    assert entry.stamp.at_us == department.clock.us
    assert "8XYZ123" in entry.note.elements
    assert entry.stamp.user == "comm1"
    assert entry.stamp.organisation == "Monrovia PD"
    assert entry.note.ground == GROUND
    ended = [one.note for one in log.entries(answer.access, kinds=(AccessEnded.KIND,))]
    assert isinstance(ended[0], AccessEnded)
    assert (ended[0].access, ended[0].count) == (answer.access, 3)


def test_the_entry_is_witnessed_before_a_key_is_used(department: Department, tokens: Tokens) -> None:
    log = department.desk.log
    sizes: list[tuple[int, int]] = []
    front = department.front

    class WatchingDoor:
        def tokens(self, cover: Cover, query: Query, days: object) -> dict[int, tuple[bytes, ...]]:
            sizes.append((log.cosigned()[0], cover.sequence))
            return front.door.tokens(cover, query, days)  # type: ignore[arg-type]

        match = front.door.match
        open = front.door.open

    department.front = replace(front, door=WatchingDoor())  # type: ignore[arg-type]
    answer = run(department, tokens("comm1"), department.plate("8XYZ123"))
    ((cosigned, sequence),) = sizes
    assert sequence == answer.access
    assert cosigned > sequence


@pytest.mark.parametrize("purpose", ["", "curiosity", "wanted_person", "INVESTIGATION"])
def test_a_purpose_outside_463_2_is_refused(department: Department, tokens: Tokens, purpose: str) -> None:
    form = RunForm(query=department.plate("8XYZ123"), ground=replace(GROUND, purpose=purpose))
    with pytest.raises(DeskRefusal) as refused:
        department.call("inquiry/run", tokens("comm1"), form)
    assert (refused.value.code, refused.value.clause) == ("purpose", "463.2")


@pytest.mark.parametrize(
    "purpose",
    [
        "investigation",
        "wanted-person",
        "enforcement",
        "crime-prevention",
        "crime-analysis",
        "investigatory-lead",
    ],
)
def test_each_purpose_of_463_2_is_accepted(department: Department, tokens: Tokens, purpose: str) -> None:
    form = RunForm(query=department.plate("8XYZ123"), ground=replace(GROUND, purpose=purpose))
    answer = department.call("inquiry/run", tokens("comm1"), form)
    assert isinstance(answer, Answer)
    assert answer.count == 3


@pytest.mark.parametrize(
    ("ground", "code"),
    [
        pytest.param(replace(GROUND, basis=""), "basis", id="no basis"),
        pytest.param(replace(GROUND, basis="neighbor dispute"), "basis", id="no basis of 463.5 a"),
        pytest.param(replace(GROUND, number=""), "number", id="no number"),
        pytest.param(replace(GROUND, number="?"), "number", id="no real number"),
        pytest.param(replace(GROUND, number_kind=""), "number", id="no one says what number"),
        pytest.param(replace(GROUND, justification="work"), "justification", id="a word is none"),
        pytest.param(replace(GROUND, justification=" " * 40), "justification", id="blanks are none"),
    ],
)
def test_a_search_lacking_basis_number_or_justification_is_refused(
    department: Department, tokens: Tokens, ground: Ground, code: str
) -> None:
    with pytest.raises(DeskRefusal) as refused:
        department.call(
            "inquiry/run", tokens("comm1"), RunForm(query=department.plate("8XYZ123"), ground=ground)
        )
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("query", "code"),
    [
        pytest.param(Query(plate="*", since_us=0, until_us=1), "plate", id="everything"),
        pytest.param(Query(plate="8XYZ<3", since_us=0, until_us=1), "plate", id="no plate"),
        pytest.param(Query(since_us=0, until_us=1), "elements", id="nothing at all"),
        pytest.param(Query(plate="8XYZ123", since_us=5, until_us=5), "time", id="time stands still"),
        pytest.param(
            Query(area=Area(latitude=200, longitude=0, radius_m=1), since_us=0, until_us=1),
            "form",
            id="no place",
        ),
        pytest.param(Query(plate="8XYZ123", since_us=0, until_us=1, unit="car-8"), "unit", id="no unit"),
        pytest.param(Query(plate="8XYZ123", since_us=0, until_us=800 * DAY_US), "time", id="two years"),
    ],
)
def test_a_query_for_everything_or_nothing_is_refused(
    department: Department, tokens: Tokens, query: Query, code: str
) -> None:
    with pytest.raises(DeskRefusal) as refused:
        department.call("inquiry/run", tokens("comm1"), RunForm(query=query, ground=GROUND))
    assert refused.value.code == code


def test_a_request_names_a_unit_that_there_is(department: Department, tokens: Tokens) -> None:
    query = replace(department.plate("8XYZ123"), unit="car-8")
    with pytest.raises(DeskRefusal) as refused:
        department.call("inquiry/request", tokens("officer1"), AskForm(query=query, ground=GROUND))
    assert refused.value.code == "unit"
    form = RunForm(query=replace(query, unit="car-7"), ground=GROUND)
    answer = department.call("inquiry/run", tokens("comm1"), form)
    assert isinstance(answer, Answer)
    assert answer.count == 3


def test_a_cad_incident_is_basis_enough_for_a_full_plate(department: Department, tokens: Tokens) -> None:
    form = RunForm(query=department.plate("8XYZ123"), ground=CAD)
    answer = department.call("inquiry/run", tokens("disp1"), form)
    assert isinstance(answer, Answer)
    assert answer.count == 3


WIDE = [
    pytest.param("8XYZ12?", None, 3, id="one character unknown"),
    pytest.param("7ABC0*", None, 10, id="the rest unknown"),
    pytest.param("8XY", None, 0, id="too short to be full"),
    pytest.param("", Area(latitude=34.1443, longitude=-117.9979, radius_m=250.0), 9, id="place alone"),
    pytest.param(
        "7*", Area(latitude=34.1443, longitude=-117.9979, radius_m=50.0), 3, id="place and wildcard"
    ),
]


@pytest.mark.parametrize(("plate", "area", "count"), WIDE)
def test_a_search_without_a_full_plate_needs_a_second_person(
    department: Department, tokens: Tokens, plate: str, area: Area | None, count: int
) -> None:
    query = replace(department.plate(plate), area=area)
    with pytest.raises(DeskRefusal) as refused:
        department.call("inquiry/run", tokens("comm1"), RunForm(query=query, ground=GROUND))
    assert refused.value.code == "second-person"
    proposal = entered(
        department.call("inquiry/propose", tokens("comm1"), ProposeForm(query=query, ground=GROUND))
    )
    with pytest.raises(DeskRefusal) as refused:
        run(department, tokens("comm1"), query, proposal=proposal)
    assert refused.value.code == "second-person"
    yes = InquiryDecideForm(proposal=proposal, granted=True, reason="known case")
    with pytest.raises(DeskRefusal) as refused:
        department.call("inquiry/approve", tokens("comm1"), yes)
    assert refused.value.code == "second-person"
    department.call("inquiry/approve", tokens("super"), yes)
    assert run(department, tokens("comm1"), query, proposal=proposal).count == count
    with pytest.raises(DeskRefusal) as refused:
        run(department, tokens("comm1"), query, proposal=proposal)
    assert refused.value.code == "used-approval"


def test_a_wide_search_needs_a_case_number_not_a_cad_incident(department: Department, tokens: Tokens) -> None:
    for ground in (CAD, replace(GROUND, number_kind="action", number="A-26-17", basis="civil-action")):
        form = ProposeForm(query=department.plate("8XYZ*"), ground=ground)
        with pytest.raises(DeskRefusal) as refused:
            department.call("inquiry/propose", tokens("comm1"), form)
        assert refused.value.code == "case-number"


def test_an_approval_holds_for_that_search_by_that_person_for_a_day(
    department: Department, tokens: Tokens
) -> None:
    query = department.plate("8XYZ12?")
    proposal = entered(
        department.call("inquiry/propose", tokens("comm1"), ProposeForm(query=query, ground=GROUND))
    )
    department.call(
        "inquiry/approve", tokens("super"), InquiryDecideForm(proposal=proposal, granted=True, reason="ok")
    )
    for other, form in (
        ("disp1", RunForm(query=query, ground=GROUND, proposal=proposal)),
        ("comm1", RunForm(query=replace(query, plate="8XYZ1?3"), ground=GROUND, proposal=proposal)),
        ("comm1", RunForm(query=query, ground=replace(GROUND, number="26-009999"), proposal=proposal)),
    ):
        with pytest.raises(DeskRefusal) as refused:
            department.call("inquiry/run", tokens(other), form)
        assert refused.value.code == "other-approval"
    department.call("user/set", tokens("chief"), account("super", active=False))
    with pytest.raises(DeskRefusal) as refused:
        run(department, tokens("comm1"), query, proposal=proposal)
    assert refused.value.code == "approver-gone"
    department.clock.step(25 * HOUR_US)
    with pytest.raises(DeskRefusal) as refused:
        run(department, department.logon("comm1"), query, proposal=proposal)
    assert refused.value.code == "old-approval"


def test_a_declined_proposal_is_not_run(department: Department, tokens: Tokens) -> None:
    query = department.plate("8XYZ12?")
    proposal = entered(
        department.call("inquiry/propose", tokens("comm1"), ProposeForm(query=query, ground=GROUND))
    )
    department.call(
        "inquiry/approve", tokens("super"), InquiryDecideForm(proposal=proposal, granted=False, reason="no")
    )
    with pytest.raises(DeskRefusal) as refused:
        run(department, tokens("comm1"), query, proposal=proposal)
    assert refused.value.code == "declined"


def test_an_officer_asks_through_the_queue_and_sees_the_answer(
    department: Department, tokens: Tokens
) -> None:
    query = department.plate("8XYZ123")
    request = entered(
        department.call("inquiry/request", tokens("officer1"), AskForm(query=query, ground=GROUND))
    )
    pending = department.call("inquiry/queue", tokens("comm1"), NothingForm())
    assert [(one.kind, one.entry, one.user) for one in pending] == [("request", request, "officer1")]  # type: ignore[attr-defined]
    with pytest.raises(DeskRefusal) as refused:
        department.call("inquiry/answer", tokens("officer1"), RequestForm(request=request))
    assert refused.value.code == "unanswered"
    answer = run(department, tokens("comm1"), query, request=request)
    seen = department.call("inquiry/answer", tokens("officer1"), RequestForm(request=request))
    assert isinstance(seen, Answer)
    assert {one.read for one in seen.reads} == {one.read for one in answer.reads}
    entry = department.desk.log.entry(answer.access).note
    assert isinstance(entry, Access)
    assert entry.on_behalf_of == "officer1"
    look = department.desk.log.entry(seen.access)
    assert isinstance(look.note, Access)
    assert (look.note.action, look.stamp.user) == ("answer", "officer1")
    with pytest.raises(DeskRefusal) as refused:
        department.call("inquiry/answer", tokens("analyst1"), RequestForm(request=request))
    assert refused.value.code == "other-request"
    department.clock.step(8 * DAY_US)
    with pytest.raises(DeskRefusal) as refused:
        department.call("inquiry/answer", department.logon("officer1"), RequestForm(request=request))
    assert refused.value.code == "old-answer"


def test_a_request_is_run_as_asked_once_and_not_by_its_asker(department: Department, tokens: Tokens) -> None:
    query = department.plate("8XYZ123")
    own = entered(department.call("inquiry/request", tokens("comm1"), AskForm(query=query, ground=GROUND)))
    asked = entered(
        department.call("inquiry/request", tokens("officer1"), AskForm(query=query, ground=GROUND))
    )
    for request, plate, code in (
        (own, "8XYZ123", "own-request"),
        (asked, "7ABC000", "other-search"),
        (999_999, "8XYZ123", "no-request"),
    ):
        with pytest.raises(DeskRefusal) as refused:
            run(
                department,
                tokens("comm1"),
                department.plate(plate) if plate != "8XYZ123" else query,
                request=request,
            )
        assert refused.value.code == code
    run(department, tokens("comm1"), query, request=asked)
    with pytest.raises(DeskRefusal) as refused:
        run(department, tokens("comm1"), query, request=asked)
    assert refused.value.code == "answered"


def test_a_declined_request_shows_its_asker_why(department: Department, tokens: Tokens) -> None:
    form = AskForm(query=department.plate("8XYZ123"), ground=GROUND)
    request = entered(department.call("inquiry/request", tokens("officer1"), form))
    department.call("inquiry/decline", tokens("comm1"), DeclineForm(request=request, reason="no open case"))
    with pytest.raises(DeskRefusal, match="no open case"):
        department.call("inquiry/answer", tokens("officer1"), RequestForm(request=request))


def test_a_requester_without_training_gets_no_search_run(department: Department, tokens: Tokens) -> None:
    chief = tokens("chief")
    form = AskForm(query=department.plate("8XYZ123"), ground=GROUND)
    request = entered(department.call("inquiry/request", tokens("officer1"), form))
    from sync.department.desk.people.calls import AccountForm

    removed = AccountForm(
        user="officer1", name="O", organisation="PD", roles=(Role.OFFICER,), reason="left", active=False
    )
    department.call("user/set", chief, removed)
    with pytest.raises(DeskRefusal) as refused:
        run(department, tokens("comm1"), form.query, request=request)
    assert refused.value.code == "requester"


def test_a_requester_whose_training_ended_since_gets_no_search_run(
    department: Department, tokens: Tokens
) -> None:
    """An officer's request is not run once the training that was current then has expired."""
    department.clock.step(300 * DAY_US)
    for user in ("officer1", "comm1", "super", "chief"):
        department.renew_password(user)
    department.train(department.logon("chief"), "super", "chief")
    department.train(department.logon("super"), "comm1", "super")
    department.clock.step(55 * DAY_US)
    form = AskForm(query=department.plate("8XYZ123"), ground=GROUND)
    request = entered(department.call("inquiry/request", department.logon("officer1"), form))
    department.clock.step(10 * DAY_US)
    with pytest.raises(DeskRefusal) as refused:
        run(department, department.logon("comm1"), form.query, request=request)
    assert refused.value.code == "training-expired"


def test_a_requester_sees_and_disputes_what_was_asked_in_their_name(
    department: Department, tokens: Tokens
) -> None:
    query = department.plate("8XYZ123")
    request = entered(
        department.call("inquiry/request", tokens("officer1"), AskForm(query=query, ground=GROUND))
    )
    answer = run(department, tokens("comm1"), query, request=request)
    mine = department.call("inquiry/mine", tokens("officer1"), NothingForm())
    assert [one.entry for one in mine] == [answer.access]  # type: ignore[attr-defined]
    assert department.call("inquiry/mine", tokens("analyst1"), NothingForm()) == ()
    department.call(
        "inquiry/dispute", tokens("officer1"), DisputeForm(entry=answer.access, reason="not mine")
    )
    with pytest.raises(DeskRefusal) as refused:
        department.call(
            "inquiry/dispute", tokens("analyst1"), DisputeForm(entry=answer.access, reason="mine")
        )
    assert refused.value.code == "other-entry"


def test_viewing_an_image_is_an_access_and_only_of_what_was_found(
    department: Department, tokens: Tokens
) -> None:
    answer = run(department, tokens("comm1"), department.plate("8XYZ123"))
    name = answer.reads[0].read
    images = department.call(
        "inquiry/image", tokens("comm1"), ImageForm(read=name, access=answer.access, ground=GROUND)
    )
    assert isinstance(images, Images)
    assert images.patch == drawn_images.patch("8XYZ123")
    assert images.overview == drawn_images.overview("8XYZ123")
    entry = department.desk.log.entry(images.access).note
    assert isinstance(entry, Access)
    assert (entry.action, entry.reads) == ("image", (name,))
    for user, read in (("super", name), ("comm1", department.reads[0])):
        form = ImageForm(read=read, access=answer.access, ground=GROUND)
        with pytest.raises(DeskRefusal) as refused:
            department.call("inquiry/image", tokens(user), form)
        assert refused.value.code == "other-read"


def test_an_access_is_filed_under_its_rms_number(department: Department, tokens: Tokens) -> None:
    kept, log = department.front.requests, department.desk.log
    answer = run(department, tokens("comm1"), department.plate("8XYZ123"))
    assert [one.rms_number for one in kept.of(log)] == [NOT_FILED]
    department.call("inquiry/file", tokens("comm1"), FileForm(access=answer.access, rms_number="RMS-26-77"))
    fold = RequestFold()
    for entry in log.entries():
        fold.apply(entry)
    requests = list(fold.requests.values())
    assert [(one.rms_number, one.results) for one in requests] == [("RMS-26-77", answer.count)]
    assert (kept.of(log), kept.of(log, answer.access)) == (requests, [])  # continued
    with pytest.raises(DeskRefusal):
        department.call("inquiry/file", tokens("comm1"), FileForm(access=0, rms_number="RMS-26-78"))


def test_refusals_are_entries_too(department: Department, tokens: Tokens) -> None:
    with pytest.raises(DeskRefusal):
        run(department, tokens("officer1"), department.plate("8XYZ123"))
    refused = list(department.desk.log.entries(kinds=(Refused.KIND,)))
    assert isinstance(refused[-1].note, Refused)
    assert (refused[-1].note.call, refused[-1].note.code) == ("inquiry.run", "role")
    assert refused[-1].stamp.user == "officer1"


def test_no_content_is_opened_without_a_covered_entry(department: Department, tokens: Tokens) -> None:
    """Even root in control of the process must show the key guard an entry that says what is wanted."""
    department.call("inquiry/run", tokens("comm1"), RunForm(query=department.plate("8XYZ123"), ground=GROUND))
    desk, door, query = department.desk, department.front.door, department.plate("8XYZ123")
    token = tokens("comm1")
    answer = run(department, token, query)
    good = desk.covered(answer.access)
    day = [department.clock.us // DAY_US]
    assert door.tokens(good, query, day) is not None
    bad: list[tuple[Cover, Query]] = [
        (good, replace(query, plate="7ABC000")),
        (good, replace(query, until_us=query.until_us + 1)),
        (replace(good, content=flip(good.content)), query),
        (replace(good, sequence=good.sequence - 1), query),
        (replace(good, inclusion=good.inclusion[:-1]), query),
        (replace(good, leaf=flip(good.leaf)), query),
        (replace(good, checkpoint=good.checkpoint.replace("\n—", "\n-", 1)), query),
        (desk.covered(0), query),
    ]
    for cover, asked in bad:
        with pytest.raises(DeskRefusal):
            door.tokens(cover, asked, day)
    department.clock.step(2 * HOUR_US)
    with pytest.raises(DeskRefusal) as refused:
        door.tokens(desk.covered(answer.access), query, day)
    assert refused.value.code == "old-cover"


def test_a_second_dispatcher_who_answers_the_same_request_meanwhile_is_refused(
    department: Department, tokens: Tokens
) -> None:
    query = department.plate("8XYZ123")
    asked = department.call("inquiry/request", tokens("officer1"), AskForm(query=query, ground=GROUND))
    assert isinstance(asked, Entered)
    first, second = tokens("comm1"), tokens("super")
    form = RunForm(request=asked.entry)
    codes: list[str] = []
    reads = department.front.reads

    class Meanwhile:
        """Lets a second dispatcher start the search while the first one's reads are being found."""

        def __getattr__(self, name: str) -> object:
            return getattr(reads, name)

        def find(self, *given: object) -> object:
            if not codes:
                with pytest.raises(DeskRefusal) as refused:
                    department.call("inquiry/run", second, form)
                codes.append(refused.value.code)
            return reads.find(*given)  # type: ignore[arg-type]

    department.front = replace(department.front, reads=Meanwhile())  # type: ignore[arg-type]
    answer = department.call("inquiry/run", first, form)
    assert isinstance(answer, Answer)
    assert (answer.count, codes) == (3, ["answered"])
    rows = department.call("inquiry/mine", tokens("officer1"), NothingForm())
    assert [one.action for one in rows] == ["search"]  # type: ignore[attr-defined]


def test_an_invalid_request_is_named(department: Department, tokens: Tokens) -> None:
    with pytest.raises(FormError, match="there is no request 999"):
        department.call("inquiry/run", tokens("disp1"), RunForm(request=999))
