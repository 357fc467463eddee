"""Root at the desk and an accomplice who signs: what needs a second person stays closed without one.

Root holds the log's key and the database, the accomplice has a session. They lack a second person's approval
of exactly this search or reset, given in time and not used before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from desk_forms import forms
from desk_root import (
    VICTIM,
    Root,
    access_of,
    account_form,
    by_a_key_that_root_set,
    demand_named,
    problems,
    written_in,
)
from desk_twins import GROUND, Department, take_call

from storage.times import DAY_US, HOUR_US
from sync import root_file
from sync.department.desk.changes.calls import DecideForm
from sync.department.desk.inquiry import forms as inquiries
from sync.department.desk.inquiry.forms import RunForm
from sync.department.desk.log_state import root_entry
from sync.department.desk.people.calls import CredentialForm, HandedOver
from sync.department.desk.sessions import digest_of
from sync.department.desk.sharing.calls import DecisionForm, DeliverForm, Recorded, ReviewForm
from sync.department.journal.change_entries import ChangeDecided, ChangeUsed
from sync.department.journal.entries import AccountSet, CredentialSet
from sync.department.journal.entry_base import SYSTEM
from sync.department.journal.inquiry_entries import Query, SearchApproved, SearchProposed
from sync.department.journal.sharing_entries import (
    DELIVER_DAYS,
    Scope,
    ShareAsked,
    ShareDecided,
    written_digest,
)
from sync.department.journal.statements import sign_call
from sync.department.policy.policy_file import parse_policy, policy_digest
from sync.department.policy.refusals import DeskRefusal
from sync.department.policy.roles import Role

WIDE = "8XYZ*"


def proposal(root: Root, key: Ed25519PrivateKey, session: bytes, query: Query) -> int:
    """The accomplice proposes the wide search."""
    form = inquiries.ProposeForm(query=query, ground=GROUND)
    signed = sign_call(key, root.log.log_id, VICTIM, "inquiry/propose", form, root.stamp().at_us)
    note = SearchProposed(query=query, ground=GROUND, request=-1)
    return root.write(note, root.stamp(session=session), signed)


def decided(root: Root, number: int, *, signs: bool, enters: bool, user: str = "super") -> None:
    """A second person's signed decision on a proposal, and the entry that root makes of it."""
    form = inquiries.InquiryDecideForm(proposal=number, granted=signs, reason="known to me")
    stamp, signed = root.signed(user, "inquiry/approve", form)
    root.write(SearchApproved(proposal=number, granted=enters, reason="known to me"), stamp, signed)


def wide(root: Root, decide: Callable[[int], int | None], *, asks: bool = True) -> int:
    """Write the wide search that root and the accomplice want, under the approval that `decide` makes."""
    query, (key, session) = root.query(WIDE), root.accomplice(VICTIM)
    number = proposal(root, key, session, query) if asks else -1
    named = decide(number)
    number = number if named is None else named
    form = RunForm(query=query, ground=GROUND, proposal=number)
    signed = sign_call(key, root.log.log_id, VICTIM, "inquiry/run", form, root.stamp().at_us)
    return root.write(replace(access_of(query), approval=number), root.stamp(session=session), signed)


def wide_without_a_second_person(root: Root) -> int:
    return wide(root, lambda _number: None, asks=False)


def wide_by_an_approval_that_nobody_gave(root: Root) -> int:
    return wide(root, lambda _number: None)


def wide_by_an_approval_that_root_wrote(root: Root) -> int:
    def written(number: int) -> None:
        note = SearchApproved(proposal=number, granted=True, reason="known to me")
        root.write(note, root.stamp("super", digest_of(root.department.logon("super"))))

    return wide(root, written)


def wide_by_ones_own_approval(root: Root) -> int:
    return wide(root, lambda number: decided(root, number, signs=True, enters=True, user=VICTIM))


def wide_by_a_no_that_root_turned(root: Root) -> int:
    """The second person signed a no; root enters a yes with that signature."""
    return wide(root, lambda number: decided(root, number, signs=False, enters=True))


def wide_by_a_yes_that_was_taken_back(root: Root) -> int:
    """The second person agreed, then withdrew; root enters the yes again."""

    def turned(number: int) -> None:
        decided(root, number, signs=True, enters=True)
        yes = root.log.entry(root.log.size() - 1)
        decided(root, number, signs=False, enters=False)
        root.write(yes.note, root.stamp("super", yes.stamp.session), yes.signed)

    return wide(root, turned)


def wide_by_a_yes_to_a_change(root: Root) -> int:
    """The administrator, who may not approve searches, is shown a change with the search's number."""

    def yes(number: int) -> None:
        form = DecideForm(proposal=number, granted=True, reason="known to me")
        stamp, signed = root.signed("chief", "change/approve", form)
        root.write(ChangeDecided(proposal=number, granted=True, reason=form.reason), stamp, signed)

    return wide(root, yes)


def wide_by_a_yes_that_was_given_ahead(root: Root) -> int:
    """The second person is shown a search that is not in the log; root enters another with its number."""
    query, (key, session) = root.query(WIDE), root.accomplice(VICTIM)
    ahead = root.log.size() + 3  # after the second person's login and the yes
    decided(root, ahead, signs=True, enters=True)
    number = proposal(root, key, session, query)
    assert number == ahead
    form = RunForm(query=query, ground=GROUND, proposal=number)
    signed = sign_call(key, root.log.log_id, VICTIM, "inquiry/run", form, root.stamp().at_us)
    return root.write(replace(access_of(query), approval=number), root.stamp(session=session), signed)


def wide_by_an_approval_of_another_search(root: Root) -> int:
    """The second person approved the same search a minute ago."""

    def other(_number: int) -> int:
        query, (key, session) = replace(root.query(WIDE), since_us=1), root.accomplice(VICTIM)
        number = proposal(root, key, session, query)
        decided(root, number, signs=True, enters=True)
        return number

    return wide(root, other)


def approved(root: Root, query: Query, by: str = VICTIM) -> int:
    """Propose and approve a search at the desk. Returns its proposal."""
    department = root.department
    asks = inquiries.ProposeForm(query=query, ground=GROUND)
    made = department.call("inquiry/propose", department.logon(by), asks)
    assert isinstance(made, inquiries.Entered)
    yes = inquiries.InquiryDecideForm(proposal=made.entry, granted=True, reason="the case is known")
    department.call("inquiry/approve", department.logon("super"), yes)
    return made.entry


def by_proposal(root: Root, number: int, query: Query) -> int:
    """The searcher signs only a proposal's number; root writes the access."""
    form = RunForm(proposal=number)
    stamp, signed = root.signed(VICTIM, "inquiry/run", form)
    return root.write(replace(access_of(query), approval=number), stamp, signed)


def wide_by_the_approval_of_a_shorter_time(root: Root) -> int:
    """The same plate and case; the second person agreed to an hour."""
    query = root.query(WIDE)
    number = approved(root, replace(query, since_us=query.until_us - HOUR_US))
    return wide(root, lambda _number: number, asks=False)


def wide_by_number_over_a_longer_time(root: Root) -> int:
    query = root.query(WIDE)
    number = approved(root, replace(query, since_us=query.until_us - HOUR_US))
    return by_proposal(root, number, query)


def wide_by_an_approval_that_was_used(root: Root) -> int:
    query = root.query(WIDE)
    number = approved(root, query)
    root.department.call("inquiry/run", root.department.logon(VICTIM), RunForm(proposal=number))
    return by_proposal(root, number, query)


def wide_by_the_approval_of_another_persons_proposal(root: Root) -> int:
    """The second person agreed that a dispatcher makes the search."""
    query = root.query(WIDE)
    return by_proposal(root, approved(root, query, by="disp1"), query)


def wide_by_the_yes_of_the_person_who_asked(root: Root) -> int:
    """The supervisor requests a search from communications and is also its second person."""
    query, department = root.query(WIDE), root.department
    asks = inquiries.AskForm(query=query, ground=GROUND)
    asked = department.call("inquiry/request", department.logon("super"), asks)
    assert isinstance(asked, inquiries.Entered)
    form = inquiries.ProposeForm(request=asked.entry)
    made = department.call("inquiry/propose", department.logon(VICTIM), form)
    assert isinstance(made, inquiries.Entered)
    decided(root, made.entry, signs=True, enters=True)
    stamp, signed = root.signed(VICTIM, "inquiry/run", RunForm(proposal=made.entry, request=asked.entry))
    access = replace(access_of(query), approval=made.entry, request=asked.entry, on_behalf_of="super")
    return root.write(access, stamp, signed)


def wide_after_the_approvals_hours(root: Root) -> int:
    query = root.query(WIDE)
    number = approved(root, query)
    root.department.clock.step(25 * HOUR_US)
    return by_proposal(root, number, query)


RESET = CredentialForm(user=VICTIM, reason="was lost")


def reset_by_two(root: Root, form: CredentialForm = RESET) -> int:
    """Two people reset a person, who then sets a password. Returns the used approval."""
    department = root.department
    given = department.two_hands("user/credential", department.logon("chief"), form)
    assert isinstance(given, HandedOver)
    department.own_password(given)
    used = [one.note for one in root.log.entries(kinds=(ChangeUsed.KIND,))][-1]
    assert isinstance(used, ChangeUsed)
    return used.proposal


def reset_by_one(root: Root, approval: int = -1) -> int:
    """The administrator signs the victim's reset, and root sets the victim's key."""
    stamp, signed = root.signed("chief", "user/credential", replace(RESET, approval=approval))
    root.write(CredentialSet(user=VICTIM, digest=bytes(32), first=True), stamp, signed)
    return by_a_key_that_root_set(root)


def by_an_administrator_alone(root: Root) -> int:
    return reset_by_one(root)


def by_a_reset_that_two_people_made_before(root: Root) -> int:
    """Two people once reset the victim; the administrator resets again under the same approval."""
    return reset_by_one(root, reset_by_two(root))


def by_an_approval_of_another_reset(root: Root) -> int:
    """Two people approved a reset of another person; the administrator uses that approval for the victim."""
    return reset_by_one(root, reset_by_two(root, replace(RESET, user="disp1")))


def by_a_reset_that_root_enters_again(root: Root) -> int:
    """Two people reset the victim, who has since set a password; root enters the reset again."""
    reset_by_two(root)
    reset = [one for one in root.log.entries(kinds=(CredentialSet.KIND,)) if one.stamp.user == "chief"][-1]
    root.write(reset.note, root.stamp("chief", reset.stamp.session), reset.signed)
    return by_a_key_that_root_set(root)


def by_a_changed_role_turned_into_a_reset(root: Root) -> int:
    """Two people give the victim another role; root enters a reset with the administrator's signature."""
    department = root.department
    account = department.desk.book.roster.accounts[VICTIM]
    form = account_form(account, roles=(*account.roles, Role.DISPATCHER))
    department.two_hands("user/set", department.logon("chief"), form)
    made = list(root.log.entries(kinds=(AccountSet.KIND,)))[-1]
    root.write(CredentialSet(user=VICTIM, digest=bytes(32), first=True), made.stamp, made.signed)
    return by_a_key_that_root_set(root)


def by_a_reset_that_a_former_designee_approved(root: Root) -> int:
    """The administrator and a designee whose designation has ended help root."""
    department = root.department
    account = department.desk.book.roster.accounts["deputy"]
    ends = account_form(account, ends_us=department.clock.us + HOUR_US)
    department.call("user/set", department.logon("chief"), ends)
    department.clock.step(2 * HOUR_US)
    form = CredentialForm(user=VICTIM, reason="was lost", propose=True)
    proposed = department.call("user/credential", department.logon("chief"), form)
    assert isinstance(proposed, HandedOver)
    yes = DecideForm(proposal=proposed.entry, granted=True, reason="known to me")
    stamp, signed = root.signed("deputy", "change/approve", yes)
    root.write(ChangeDecided(proposal=proposed.entry, granted=True, reason=yes.reason), stamp, signed)
    stamp, signed = root.signed(
        "chief", "user/credential", replace(form, propose=False, approval=proposed.entry)
    )
    root.write(CredentialSet(user=VICTIM, digest=bytes(32), first=True), stamp, signed)
    return by_a_key_that_root_set(root)


def wide_by_the_yes_of_a_person_who_was_removed(root: Root) -> int:
    """Root makes the waiting search, which the desk would now refuse."""
    query = root.query(WIDE)
    number = approved(root, query)
    gone = account_form(root.department.desk.book.roster.accounts["super"], active=False)
    root.department.call("user/set", root.department.logon("chief"), gone)
    return by_proposal(root, number, query)


def wide_by_the_yes_of_a_person_of_another_role_now(root: Root) -> int:
    """The new role may approve searches too, but only from then on."""
    query = root.query(WIDE)
    number = approved(root, query)
    other = account_form(root.department.desk.book.roster.accounts["super"], roles=(Role.DISPATCHER,))
    root.department.two_hands("user/set", root.department.logon("chief"), other, second="deputy")
    return by_proposal(root, number, query)


def wide_by_the_yes_of_a_person_who_came_back(root: Root) -> int:
    query, department = root.query(WIDE), root.department
    number = approved(root, query)
    account = department.desk.book.roster.accounts["super"]
    department.call("user/set", department.logon("chief"), account_form(account, active=False))
    department.two_hands("user/set", department.logon("chief"), account_form(account), second="deputy")
    return by_proposal(root, number, query)


def wide_by_the_yes_of_a_role_that_a_new_policy_took_it_from(root: Root) -> int:
    """The desk refuses such a yes once the new policy is in force."""
    query, department = root.query(WIDE), root.department
    number = approved(root, query)
    take_call(department, "ccat-supervisor", "inquiry.approve")
    return by_proposal(root, number, query)


UNAPPROVED, ANOTHER = "no second person signed the approval", "the signed call does not match"
GONE = "the role by which super gave that word is gone, or no longer permits it"
WIDE_ATTACKS: tuple[tuple[Callable[[Root], int], str], ...] = (
    (wide_without_a_second_person, "it has no full plate, and no second person signed"),
    (wide_by_an_approval_that_nobody_gave, UNAPPROVED),
    (wide_by_an_approval_that_root_wrote, UNAPPROVED),
    (wide_by_ones_own_approval, UNAPPROVED),
    (wide_by_a_no_that_root_turned, UNAPPROVED),
    (wide_by_a_yes_that_was_taken_back, ANOTHER),
    (wide_by_a_yes_to_a_change, UNAPPROVED),
    (wide_by_the_yes_of_a_person_who_was_removed, GONE),
    (wide_by_the_yes_of_a_person_of_another_role_now, GONE),
    (wide_by_the_yes_of_a_person_who_came_back, GONE),
    (wide_by_the_yes_of_a_role_that_a_new_policy_took_it_from, GONE),
    (wide_by_a_yes_that_was_given_ahead, UNAPPROVED),
    (wide_by_an_approval_of_another_search, ANOTHER),
    (wide_by_the_approval_of_a_shorter_time, ANOTHER),
    (wide_by_number_over_a_longer_time, ANOTHER),
    (wide_by_an_approval_that_was_used, "the approval that it names was used before"),
    (wide_after_the_approvals_hours, "the approval that it names had expired"),
    (wide_by_the_approval_of_another_persons_proposal, ANOTHER),
    (wide_by_the_yes_of_the_person_who_asked, UNAPPROVED),
)
RESETS: tuple[Callable[[Root], int], ...] = (
    by_an_administrator_alone,
    by_an_approval_of_another_reset,
    by_a_reset_that_root_enters_again,
    by_a_reset_that_two_people_made_before,
    by_a_changed_role_turned_into_a_reset,
    by_a_reset_that_a_former_designee_approved,
)


@pytest.mark.parametrize(("attack", "words"), WIDE_ATTACKS, ids=lambda one: getattr(one, "__name__", ""))
def test_a_wide_search_without_its_second_person_opens_nothing_and_verify_names_it(
    department: Department, attack: Callable[[Root], int], words: str
) -> None:
    demand_named(department, attack, WIDE, words)


def test_the_root_file_of_another_department_brings_no_policy(department: Department) -> None:
    """The same offices hold the root keys of another department, whose policy lets one person search for
    three letters. Root enters its root file, which every unit there has; the accomplice signs the search.
    """
    root, desk = Root(department), department.desk
    query, (key, session) = root.query("8XY"), root.accomplice(VICTIM)
    document = desk.policy_document.replace(b"version = 2\n", b"version = 3\n", 1)
    document = document.replace(b"full_plate_min = 4 ", b"full_plate_min = 2 ", 1)
    theirs = tuple(
        replace(one, public=bytes(32)) if one.name == root_file.LOG else one for one in desk.root.others
    )
    policy, digest = parse_policy(document), policy_digest(document)
    data = department.new_root(others=theirs, policy_version=3, policy_digest=digest)
    adopted = root.write(root_entry(root_file.describe(data)[0], data, policy, document), root.stamp(SYSTEM))
    form = RunForm(query=query, ground=GROUND)
    signed = sign_call(key, root.log.log_id, VICTIM, "inquiry/run", form, root.stamp().at_us)
    entry = root.write(access_of(query), root.stamp(session=session), signed)
    found = "\n".join(problems(department))
    assert (
        f"entry {adopted}: root_set in the name of system: the root file is not valid: RecordError" in found
    )
    assert f"entry {entry}: access in the name of {VICTIM}: it has no full plate" in found


@pytest.mark.parametrize("attack", RESETS, ids=lambda one: one.__name__)
def test_a_reset_without_its_second_person_gives_no_key_and_verify_names_its_look_up(
    department: Department, attack: Callable[[Root], int]
) -> None:
    demand_named(department, attack)


def test_a_search_that_two_people_agreed_to_opens_by_its_number(department: Department) -> None:
    """The control for the wide searches: only the proposed search opens, once."""
    root = Root(department)
    query = root.query(WIDE)
    entry = by_proposal(root, approved(root, query), query)
    department.front.door.tokens(department.desk.covered(entry), query, [department.clock.us // DAY_US])
    assert problems(department) == ()


def test_a_call_that_a_policy_takes_and_a_later_one_gives_back_leaves_the_words_of_its_role(
    department: Department,
) -> None:
    """The desk, the key service and `verify` agree."""
    query = department.plate(WIDE)
    number = approved(Root(department), query)
    take_call(department, "ccat-supervisor", "inquiry.approve")
    with pytest.raises(DeskRefusal) as refused:
        department.call("inquiry/run", department.logon(VICTIM), RunForm(proposal=number))
    assert refused.value.code == "approver-gone"
    take_call(department, "ccat-supervisor", "inquiry.approve", back=True)
    made = department.call("inquiry/run", department.logon(VICTIM), RunForm(proposal=number))
    assert isinstance(made, inquiries.Answer)
    assert problems(department) == ()


BEYOND = "it is beyond what the agency asked for"
DELIVERIES = {
    "another plate": BEYOND,
    "a longer time": BEYOND,
    "a scope of the caller's own": BEYOND,
    "approved by the one who entered it": "no second person signed its approval",
    "approved without a look at the agency": "no second person signed its approval",
    "after the approval's month": "its approval had expired",
    "what is read later": BEYOND,
    "for another agency": "its agency, purpose or number is not that of the request",
    "an agency that gets nothing": "the policy allows nothing to that agency",
    "nothing": "",
}


@pytest.mark.parametrize("what", DELIVERIES)
def test_a_delivery_opens_what_another_agency_asked_for_and_another_person_approved(
    department: Department, what: str
) -> None:
    """The supervisor helps root, who delivers more than the two people approved."""
    root, asked, call = Root(department), department.plate("8XYZ123"), department.call
    query = replace(asked, since_us=asked.until_us - HOUR_US)
    scope = Scope(plates=("8XYZ 123",), since_us=query.since_us, until_us=query.until_us, images=False)
    later = replace(scope, until_us=asked.until_us + 30 * DAY_US)
    later_read, gated = what == "what is read later", what == "an agency that gets nothing"
    record = replace(forms(department)["share/record"], scope=later if later_read else scope)
    if later_read or gated:  # the desk would refuse such a request
        record = replace(record, state="NV") if gated else record
        stamp, signed = root.signed("deputy", "share/record", record)
        names = {one.name for one in fields(ShareAsked)}
        note = ShareAsked(**{one: getattr(record, one) for one in names})
        request = root.write(note, stamp, signed)
        query, scope = (replace(query, until_us=later.until_us), later) if later_read else (query, scope)
    else:
        made = call("share/record", department.logon("deputy"), record)
        assert isinstance(made, Recorded)
        request = made.entry
    call("share/review", department.logon("chief"), ReviewForm(request=request, note="in order"))
    alone = what == "approved by the one who entered it"
    blind = what == "approved without a look at the agency"
    state = "NV" if blind or gated else "CA"
    yes = DecisionForm(
        request=request,
        approved=True,
        note="in order",
        agency_kind="law-enforcement",
        agency_state=state,
    )
    stamp, signed = root.signed("deputy" if alone else "chief", "share/decide", yes)
    decided = root.write(ShareDecided(request=request, approved=True, note=yes.note), stamp, signed)
    if what == "after the approval's month":
        department.clock.step(DELIVER_DAYS * DAY_US + 2 * HOUR_US)
    if what == "another plate":
        query = replace(query, plate="7ABC000")
    elif what in {"a longer time", "a scope of the caller's own"}:
        query = replace(query, since_us=asked.since_us)
    wanted = replace(scope, since_us=asked.since_us) if what == "a scope of the caller's own" else None
    wanted = later if later_read else wanted
    form = DeliverForm(request=request, scope=wanted, ground=GROUND)
    stamp, signed = root.signed("super", "share/deliver", form)
    words = "Elsewhere PD (law-enforcement, CA), Det. Doe", "a civil matter", "H-1"
    written = written_digest(*words) if what == "for another agency" else written_in(department, request)
    left = replace(access_of(query), action="delivery", request=request, written=written)
    entry = root.write(left, stamp, signed)
    cover, days = department.desk.covered(entry), [department.clock.us // DAY_US]
    if not DELIVERIES[what]:
        department.front.door.tokens(cover, query, days)
        assert problems(department) == ()
        return
    with pytest.raises(DeskRefusal, match=DELIVERIES[what]):
        department.front.door.tokens(cover, query, days)
    found = [one.split(": ")[:2] for one in problems(department)]
    wrong = [[f"entry {entry}", "access in the name of super"]]
    by = "deputy" if alone else "chief" if blind else ""
    assert found == ([[f"entry {decided}", f"share_decided in the name of {by}"]] if by else []) + wrong
