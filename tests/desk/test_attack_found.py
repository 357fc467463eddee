"""Root at the desk, with a stolen session, tries to open reads that no search of that person found.

Root has the session's key (a browser's is in the server's memory) and writes any other entry too: results of
searches, answers, approvals. The key service opens only what its own matches found.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, fields, replace

import pytest
from desk_forms import forms
from desk_root import PLATE, VICTIM, Root, access_of, problems, written_in
from desk_twins import CAD, GROUND, HOLD, Department

from storage.codec import to_plain
from storage.times import DAY_US, HOUR_US
from sync.department.desk.alerts.opening import access_of as alert_access
from sync.department.desk.break_glass.calls import GlassForm
from sync.department.desk.changes.calls import DecideForm
from sync.department.desk.holds.calls import Exported, ExportForm, HoldForm, Placed
from sync.department.desk.inquiry.forms import (
    Answer,
    AnswerImageForm,
    AskForm,
    Entered,
    ImageForm,
    InquiryDecideForm,
    NothingForm,
    ProposeForm,
    RequestForm,
    RunForm,
)
from sync.department.desk.sharing.calls import DeliverForm, ReviewForm
from sync.department.journal import named_entries
from sync.department.journal.entries import RequestAnswered
from sync.department.journal.hold_entries import HoldPlaced, held_words
from sync.department.journal.inquiry_entries import Access, AccessEnded, SearchApproved, images_of
from sync.department.journal.sharing_entries import Scope, ShareAsked
from sync.department.policy.refusals import DeskRefusal

MINE, OTHER = 0, 1  # reads of the department; the session's person searched for the first
IMAGES = ("overview", "patch")


@dataclass
class Thief:
    """Root with the session of a person who searched for one read an hour ago."""

    root: Root
    user: str

    @property
    def department(self) -> Department:
        return self.root.department

    def read(self, which: int) -> str:
        return self.department.reads[which]

    def searched(self, which: int, user: str = "") -> int:
        """Make an honest search that finds this read. Returns its access."""
        token = self.department.logon(user or self.user)
        return self.department.searched(token, (self.read(which),))[0]

    def asked(self, which: int, user: str) -> int:
        """Make a request for a read's plate, which communications answers. Returns its entry."""
        department = self.department
        query = replace(department.plate(f"7ABC0{which:02d}"), since_us=department.clock.us - 240 * HOUR_US)
        made = department.call("inquiry/request", department.logon(user), AskForm(query=query, ground=GROUND))
        assert isinstance(made, Entered)
        answers = RunForm(query=query, ground=GROUND, request=made.entry)
        department.call("inquiry/run", department.logon("disp1"), answers)
        return made.entry

    def write(self, access: Access, call: str, form: object) -> int:
        """Write an access in the stolen session, with its signature on this form."""
        stamp, signed = self.root.signed(self.user, call, form)
        return self.root.write(access, stamp, signed)

    def open(self, entry: int, which: int, elements: Sequence[str] = IMAGES) -> None:
        front = self.department.front
        front.reads.open(front.door, front.desk.covered(entry), (self.read(which),), elements)

    def hold(self, entry: int, which: int) -> None:
        front = self.department.front
        front.reads.hold(front.door, front.desk.covered(entry), (self.read(which),), ("text",))

    def image(self, which: int, form: object, call: str = "inquiry/image", request: int = -1) -> None:
        """Root writes the access for a picture of a read, and asks the key service for it."""
        read = self.read(which)
        search = getattr(form, "access", -1)
        plate = self.department.desk.access(search).plate if search >= 0 else PLATE
        look = replace(access_of(self.root.query(plate)), action="image", elements=images_of(read))
        self.open(self.write(replace(look, reads=(read,), request=request), call, form), which)


@pytest.fixture
def thief(department: Department) -> Thief:
    return Thief(Root(department), "super")


def image_of_a_read_that_the_search_did_not_find(thief: Thief) -> None:
    mine = thief.searched(MINE)
    thief.image(OTHER, ImageForm(read=thief.read(OTHER), access=mine, ground=GROUND))


def image_of_a_read_that_another_person_found(thief: Thief) -> None:
    theirs = thief.searched(OTHER, "comm1")
    thief.image(OTHER, ImageForm(read=thief.read(OTHER), access=theirs, ground=GROUND))


def image_of_a_read_that_root_says_was_found(thief: Thief) -> None:
    """The result of a search is written by the desk."""
    mine = thief.searched(MINE)
    result = AccessEnded(access=mine, count=1, reads=(thief.read(OTHER),), unwitnessed=False)
    thief.root.write(result, thief.root.stamp(thief.user))
    thief.image(OTHER, ImageForm(read=thief.read(OTHER), access=mine, ground=GROUND))


def image_by_a_form_that_names_no_search(thief: Thief) -> None:
    thief.image(OTHER, {"read": thief.read(OTHER), "ground": to_plain(GROUND)})


def image_by_a_form_that_names_a_request_too(thief: Thief) -> None:
    """Another person's request was answered with that read."""
    request = thief.asked(OTHER, "officer1")
    form = {"read": thief.read(OTHER), "access": -1, "ground": to_plain(GROUND), "request": request}
    thief.image(OTHER, form, request=request)


def image_under_the_entry_of_another_read(thief: Thief) -> None:
    mine = thief.searched(MINE)
    read = thief.read(MINE)
    query = thief.root.query(thief.department.desk.access(mine).plate)
    access = replace(access_of(query), action="image", elements=images_of(read), reads=(read,))
    form = ImageForm(read=read, access=mine, ground=GROUND)
    entry = thief.write(access, "inquiry/image", form)
    thief.open(entry, OTHER)


def text_by_a_search_that_names_reads(thief: Thief) -> None:
    """The entry of a search names the reads that it opens, whatever it matched."""
    form = RunForm(query=thief.root.query(), ground=GROUND)
    note = replace(access_of(thief.root.query()), reads=(thief.read(OTHER),))
    thief.open(thief.write(note, "inquiry/run", form), OTHER, ("text", "place"))


def answer_with_other_reads(thief: Thief) -> None:
    """The requester's signature covers only the request; root chooses the reads."""
    thief.user = "officer1"
    request = thief.asked(MINE, "officer1")
    asked = thief.department.desk.log.entry(request).note
    assert hasattr(asked, "query")
    theirs, reads = thief.searched(OTHER, "comm1"), (thief.read(OTHER),)
    false = RequestAnswered(request=request, access=theirs, reads=reads, reason="")
    thief.root.write(false, thief.root.stamp("comm1"))
    note = replace(access_of(asked.query), action="answer", request=request, reads=(thief.read(OTHER),))
    thief.open(thief.write(note, "inquiry/answer", RequestForm(request=request)), OTHER, ("text", "place"))


def answer_to_another_persons_request(thief: Thief) -> None:
    thief.user = "analyst1"
    request = thief.asked(OTHER, "officer1")
    asked = thief.department.desk.log.entry(request).note
    assert hasattr(asked, "query")
    note = replace(access_of(asked.query), action="answer", request=request, reads=(thief.read(OTHER),))
    thief.open(thief.write(note, "inquiry/answer", RequestForm(request=request)), OTHER, ("text", "place"))


def picture_of_another_persons_answer(thief: Thief) -> None:
    thief.user = "analyst1"
    request = thief.asked(OTHER, "officer1")
    asked = thief.department.desk.log.entry(request).note
    assert hasattr(asked, "query")
    read = thief.read(OTHER)
    access = replace(access_of(asked.query), action="image", elements=images_of(read), reads=(read,))
    form = AnswerImageForm(request=request, read=read)
    entry = thief.write(replace(access, request=request), "inquiry/answer-image", form)
    thief.open(entry, OTHER)


def hold_form(thief: Thief, which: int, **change: object) -> HoldForm:
    return replace(HOLD, reads=(thief.read(which),), **change)  # type: ignore[arg-type]


def hold_access(thief: Thief, form: HoldForm, approval: int = -1) -> int:
    words = held_words("hold", form.number, len(form.reads))
    access = replace(access_of(thief.root.query()), action="hold", elements=words, plate="", reads=form.reads)
    return thief.write(replace(access, approval=approval), "hold/place", form)


def search_in_a_role_that_makes_none(thief: Thief) -> None:
    """463.5 (c): an officer asks for a search and does not make one."""
    thief.user = "officer1"
    query = thief.root.query()
    entry = thief.write(access_of(query), "inquiry/run", RunForm(query=query, ground=GROUND))
    thief.root.opens(entry)


def wide_search_that_an_officer_agreed_to(thief: Thief) -> None:
    """Two sessions are stolen; the second person's role may not agree."""
    thief.user, query = "comm1", thief.root.query("8XYZ*")
    made = thief.department.call(
        "inquiry/propose", thief.department.logon("comm1"), ProposeForm(query=query, ground=GROUND)
    )
    assert isinstance(made, Entered)
    yes = InquiryDecideForm(proposal=made.entry, granted=True, reason="the case is known")
    stamp, signed = thief.root.signed("officer1", "inquiry/approve", yes)
    note = SearchApproved(proposal=made.entry, granted=True, reason="the case is known")
    thief.root.write(note, stamp, signed)
    access = replace(access_of(query), approval=made.entry)
    thief.root.opens(thief.write(access, "inquiry/run", RunForm(proposal=made.entry)), "8XYZ*")


def hold_without_a_search(thief: Thief) -> None:
    thief.hold(hold_access(thief, hold_form(thief, OTHER)), OTHER)


def hold_on_another_persons_search(thief: Thief) -> None:
    theirs = thief.searched(OTHER, "comm1")
    thief.hold(hold_access(thief, hold_form(thief, OTHER, accesses=(theirs,))), OTHER)


def hold_by_the_approval_of_a_search(thief: Thief) -> None:
    """The supervisor approved a wide search that was never run; the hold claims that approval."""
    thief.user = "chief"
    department = thief.department
    asks = ProposeForm(query=thief.root.query("8XYZ*"), ground=GROUND)
    made = department.call("inquiry/propose", department.logon("comm1"), asks)
    assert isinstance(made, Entered)
    yes = InquiryDecideForm(proposal=made.entry, granted=True, reason="the case is known")
    department.call("inquiry/approve", department.logon("super"), yes)
    form = hold_form(thief, OTHER, approval=made.entry)
    thief.hold(hold_access(thief, form, made.entry), OTHER)


def export_of_another_persons_hold(thief: Thief) -> None:
    """Two people placed a hold; the thief alone signs its export and names another person's search."""
    department, theirs = thief.department, thief.searched(OTHER, "comm1")
    placed = department.two_hands("hold/place", department.logon("chief"), hold_form(thief, OTHER))
    assert isinstance(placed, Placed)
    note = department.desk.log.entry(placed.hold).note
    assert isinstance(note, HoldPlaced)
    form = ExportForm(hold=placed.hold, medium="USB 1", ground=GROUND, accesses=(theirs,))
    words = held_words("export", note.number, len(note.reads))
    access = replace(access_of(thief.root.query()), action="export", elements=words, plate="")
    entry = thief.write(replace(access, reads=note.reads), "hold/export", form)
    (stored,) = department.front.vault.stored(note.access)
    cover = department.desk.covered(entry)
    department.front.door.open_held(cover, note.access, stored.log_id, [stored.row])


def held_read_opened_as_if_searched(thief: Thief) -> None:
    """A hold seals its reads again; root asks for them in the clear."""
    mine = thief.searched(MINE)
    thief.open(hold_access(thief, hold_form(thief, MINE, accesses=(mine,))), MINE)


def export_of(thief: Thief, hold: Placed, reads: tuple[str, ...], key_of: Placed) -> None:
    """The thief signs the export of a hold; root asks for these reads under that hold's key."""
    log, front = thief.department.desk.log, thief.department.front
    note = log.entry(key_of.hold).note
    assert isinstance(note, HoldPlaced)
    form = ExportForm(hold=hold.hold, medium="USB 1", ground=GROUND, accesses=(thief.searched(MINE),))
    words = held_words("export", note.number, len(reads))
    access = replace(access_of(thief.root.query()), action="export", elements=words, plate="", reads=reads)
    entry = thief.write(access, "hold/export", form)
    (stored,) = front.vault.stored(note.access)
    front.door.open_held(front.desk.covered(entry), note.access, stored.log_id, [stored.row])


def placed_twice(thief: Thief) -> list[Placed]:
    token, form = thief.department.logon(thief.user), hold_form(thief, MINE, accesses=(thief.searched(MINE),))
    found = [thief.department.call("hold/place", token, form) for _ in range(2)]
    return [one for one in found if isinstance(one, Placed)]


def export_of_reads_that_the_hold_does_not_have(thief: Thief) -> None:
    hold, _ = placed_twice(thief)
    export_of(thief, hold, (thief.read(OTHER),), hold)


def export_with_the_key_of_another_hold(thief: Thief) -> None:
    hold, other = placed_twice(thief)
    export_of(thief, hold, (thief.read(MINE),), other)


def emergency(thief: Thief, days: int) -> int:
    """A search on the thief's word alone, without the entry that asks for a second person's decision."""
    query = replace(thief.root.query("8XYZ*"), since_us=thief.department.clock.us - days * DAY_US)
    form = GlassForm(query=query, ground=CAD, danger="child in the car")
    return thief.write(replace(access_of(query), ground=CAD), "inquiry/break-glass", form)


def emergency_that_no_second_person_hears_of(thief: Thief) -> None:
    thief.root.opens(emergency(thief, 1), "8XYZ*")


def emergency_that_looks_back_a_year(thief: Thief) -> None:
    thief.root.opens(emergency(thief, 365), "8XYZ*")


def picture_by_a_look_at_the_list_of_alerts(thief: Thief) -> None:
    """A page signs such a look again and again."""
    note = replace(alert_access("alert-image", "images", ()), reads=(thief.read(OTHER),))
    thief.open(thief.write(note, "alert/list", NothingForm()), OTHER)


NOT_FOUND = "none of .*'s searches that the call names found that read"
ATTACKS: tuple[tuple[Callable[[Thief], None], str], ...] = (
    (image_of_a_read_that_the_search_did_not_find, NOT_FOUND),
    (image_of_a_read_that_another_person_found, NOT_FOUND),
    (image_of_a_read_that_root_says_was_found, NOT_FOUND),
    (image_by_a_form_that_names_no_search, NOT_FOUND),
    (image_by_a_form_that_names_a_request_too, NOT_FOUND),
    (image_under_the_entry_of_another_read, "the entry does not name that read"),
    (text_by_a_search_that_names_reads, NOT_FOUND),
    (answer_with_other_reads, NOT_FOUND),
    (answer_to_another_persons_request, "the signed call does not match"),
    (picture_of_another_persons_answer, "the signed call does not match"),
    (search_in_a_role_that_makes_none, "no role of officer1 may do that"),
    (wide_search_that_an_officer_agreed_to, "no second person signed the approval"),
    (hold_without_a_search, NOT_FOUND),
    (hold_on_another_persons_search, NOT_FOUND),
    (hold_by_the_approval_of_a_search, "the approval that it names is of no such change"),
    (export_of_another_persons_hold, NOT_FOUND),
    (held_read_opened_as_if_searched, "what is held is sealed and opened by its own calls"),
    (export_of_reads_that_the_hold_does_not_have, "its reads are not those of the hold"),
    (export_with_the_key_of_another_hold, "opens no such hold: it names another hold"),
    (emergency_that_no_second_person_hears_of, "no second person was asked to judge it"),
    (emergency_that_looks_back_a_year, "looks back no further than the policy's days"),
    (picture_by_a_look_at_the_list_of_alerts, "the signed call does not match"),
)


@pytest.mark.parametrize(("attack", "words"), ATTACKS, ids=lambda one: getattr(one, "__name__", ""))
def test_a_stolen_session_opens_no_read_that_its_person_did_not_find(
    thief: Thief, attack: Callable[[Thief], None], words: str
) -> None:
    with pytest.raises(DeskRefusal, match=words):
        attack(thief)


def test_what_the_own_search_found_opens_by_the_same_entries(thief: Thief) -> None:
    """The control: pictures of what a search or a request found, a hold on it, and the hold's export."""
    department, mine = thief.department, thief.searched(MINE)
    thief.image(MINE, ImageForm(read=thief.read(MINE), access=mine, ground=GROUND))
    thief.hold(hold_access(thief, hold_form(thief, MINE, accesses=(mine,))), MINE)
    token = department.logon(thief.user)
    placed = department.call("hold/place", token, hold_form(thief, MINE, accesses=(mine,)))
    assert isinstance(placed, Placed)
    exported = department.call(
        "hold/export", token, ExportForm(hold=placed.hold, medium="USB", ground=GROUND)
    )
    assert isinstance(exported, Exported)
    thief.user = "officer1"
    request = thief.asked(OTHER, "officer1")
    asked = department.desk.log.entry(request).note
    assert hasattr(asked, "query")
    note = replace(access_of(asked.query), action="answer", request=request, reads=(thief.read(OTHER),))
    thief.open(thief.write(note, "inquiry/answer", RequestForm(request=request)), OTHER, ("text", "place"))
    assert problems(department) == ()


def test_a_key_service_whose_disk_was_lost_asks_for_a_new_search_or_a_second_person(thief: Thief) -> None:
    """It opens nothing that it does not remember on one person's word; a second person may agree to it."""
    department, mine = thief.department, thief.searched(MINE)
    token = department.logon(thief.user)
    placed = department.call("hold/place", token, hold_form(thief, MINE, accesses=(mine,)))
    assert isinstance(placed, Placed)
    found = next(department.home.keys.glob("found.sqlite"))
    with closing(sqlite3.connect(found)) as database, database:
        assert database.execute("DELETE FROM found").rowcount > 0
    form = ExportForm(hold=placed.hold, medium="USB", ground=GROUND)
    with pytest.raises(DeskRefusal) as refused:
        department.call("hold/export", token, form)
    assert refused.value.code == "other-read"
    proposed = department.call("hold/export", token, replace(form, propose=True))
    assert isinstance(proposed, Exported)
    yes = DecideForm(proposal=proposed.proposal, granted=True, reason="the disk was lost")
    department.call("change/approve", department.logon("chief"), yes)
    exported = department.call("hold/export", token, replace(form, approval=proposed.proposal))
    assert isinstance(exported, Exported)
    assert exported.package


def delivery_of(thief: Thief, plate: str, *, asked: bool = True, named: bool | None = None) -> int:
    """The access that root and an accomplice write for a delivery of this plate, which another agency asked
    for and two people approved. `asked`: pictures in the request; `named`: pictures in the form's scope.
    """
    department, call, root = thief.department, thief.department.call, thief.root
    query = replace(department.plate(plate), since_us=department.clock.us - 240 * HOUR_US)
    scope = Scope(plates=(plate,), since_us=query.since_us, until_us=query.until_us, images=asked)
    record = replace(forms(department)["share/record"], scope=scope)
    stamp, signed = root.signed("deputy", "share/record", record)
    note = ShareAsked(**{one.name: getattr(record, one.name) for one in fields(ShareAsked)})
    request = root.write(note, stamp, signed)  # the desk would refuse a part of a plate
    call("share/review", department.logon("chief"), ReviewForm(request=request, note="in order"))
    call(
        "share/decide", department.logon("chief"), replace(forms(department)["share/decide"], request=request)
    )
    part = None if named is None else replace(scope, images=named)
    written = written_in(department, request)
    access = replace(access_of(query), action="delivery", request=request, written=written)
    entry = thief.write(access, "share/deliver", DeliverForm(request=request, scope=part, ground=GROUND))
    department.front.reads.find(department.front.door, department.desk.covered(entry), query, 10)
    return entry


@pytest.mark.parametrize(
    ("asked", "named", "opens"),
    [
        (True, None, True),
        (True, True, True),
        (True, False, False),
        (False, None, False),
        (False, True, False),
    ],
)
def test_a_delivery_opens_pictures_where_the_agency_asked_for_them(
    thief: Thief, asked: bool, named: bool | None, opens: bool
) -> None:
    entry = delivery_of(thief, "7ABC000", asked=asked, named=named)
    thief.open(entry, MINE, ("text",))
    if opens:
        thief.open(entry, MINE)
        return
    with pytest.raises(DeskRefusal, match="asks for no pictures") as refused:
        thief.open(entry, MINE)
    assert refused.value.code == "scope"


@pytest.mark.parametrize("plate", ["7ABCO00", "7ABC*", "7ABC00?"])
def test_a_delivery_opens_the_reads_of_the_very_plate_that_the_agency_named(thief: Thief, plate: str) -> None:
    """Neither possible misreads, which a search shows separately, nor parts of plates."""
    entry = delivery_of(thief, plate)
    with pytest.raises(DeskRefusal, match="found that read") as refused:
        thief.open(entry, MINE, ("text",))
    assert refused.value.code == "other-read"


TURNED: dict[str, dict[str, str]] = {
    "": {},
    "its plate is not that of its search": {"plate": "7OTH123"},
    "it describes another picture": {"elements": "images of 7OTH123"},
}


def look_in_other_words(department: Department, words: str, between: int = 0) -> list[str]:
    """What `verify` says of a look whose plate root changed, after this many unsigned searches."""
    root, query = Root(department), department.plate(PLATE)
    token = department.logon(VICTIM)
    answer = department.call("inquiry/run", token, RunForm(query=query, ground=GROUND))
    assert isinstance(answer, Answer)
    for _ in range(between):
        root.write(root.look_up("7OTH123"), root.stamp())
    read = answer.reads[0].read
    form = ImageForm(read=read, access=answer.access, ground=GROUND)
    look = replace(access_of(query), action="image", elements=images_of(read), reads=(read,))
    entry = root.write(replace(look, **TURNED[words]), *root.signed(VICTIM, "inquiry/image", form))  # type: ignore[arg-type]
    return [one for one in problems(department) if one.startswith(f"entry {entry}: access")]


@pytest.mark.parametrize("words", TURNED)
def test_a_look_at_a_picture_says_what_its_person_searched_for(department: Department, words: str) -> None:
    """Otherwise root could write any plate into a person's lookup (463.5 b 2)."""
    assert [words in one for one in look_in_other_words(department, words)] == [True] * bool(words)


def test_searches_that_no_one_signed_push_out_no_mark_of_a_signed_one(
    department: Department, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(named_entries, "MOST_SEARCHES", 2)
    words = "its plate is not that of its search"
    (named,) = look_in_other_words(department, words, between=3)
    assert words in named
