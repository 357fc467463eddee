"""Training (463.9): who records it, what the record says, and how long it counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace

import pytest
from desk_forms import forms
from desk_twins import COURSE, GROUND, TOPICS, Department

from storage.times import DAY_US
from sync.department.desk.changes.calls import DecideForm, ShowForm
from sync.department.desk.inquiry.forms import Answer, NothingForm, RunForm
from sync.department.desk.operations import OPERATIONS
from sync.department.desk.people.training import Trainings, demand_current
from sync.department.desk.people.training_calls import TrainingForm
from sync.department.journal.entries import TrainingDone
from sync.department.journal.machine_entries import DocumentSent
from sync.department.journal.second_hand_facts import WITH_DATA
from sync.department.journal.unsigned import UnsignedError
from sync.department.policy.desk_terms import NEW_TOPICS_DAYS, in_topics, topics_came
from sync.department.policy.policy import Policy
from sync.department.policy.policy_file import policy_digest
from sync.department.policy.refusals import DeskRefusal
from sync.department.policy.roles import CALLS, Role
from sync.department.server import roster
from sync.department.server.folded_log import FoldedLog
from sync.department.server.open_desk import adopt_root

Tokens = Callable[[str], str]


@pytest.fixture
def form(department: Department) -> TrainingForm:
    return TrainingForm(
        user="comm1",
        trainer="super",
        course=COURSE,
        policy_version=department.desk.policy.version,
        topics=TOPICS,
        held_us=department.clock.us,
    )


def test_only_the_supervisor_records_training_and_never_their_own(
    department: Department, tokens: Tokens, form: TrainingForm
) -> None:
    chief, supervisor = tokens("chief"), tokens("super")
    form = replace(form, held_us=department.clock.us)
    department.call("training/record", supervisor, form)
    for user, change, code in (
        (chief, {}, "training-recorder"),
        (supervisor, {"user": "super"}, "own-training"),
        (chief, {"user": "chief"}, "own-training"),
        (supervisor, {"trainer": "comm1"}, "trainer"),
        (supervisor, {"user": "nobody"}, "no-such-user"),
        (chief, {"user": "super", "trainer": "super"}, "trainer"),
    ):
        with pytest.raises(DeskRefusal) as refused:
            department.call("training/record", user, replace(form, **change))  # type: ignore[arg-type]
        assert refused.value.code == code
    department.call("training/record", chief, replace(form, user="super", trainer="chief"))
    for user in ("comm1", "officer1", "reviewer1", "deputy"):
        with pytest.raises(DeskRefusal) as refused:
            department.call("training/record", tokens(user), form)
        assert refused.value.code == "role"


@pytest.mark.parametrize("missing", TOPICS)
def test_a_record_without_all_topics_is_refused(
    department: Department, tokens: Tokens, form: TrainingForm, missing: str
) -> None:
    topics = tuple(one for one in TOPICS if one != missing)
    with pytest.raises(DeskRefusal) as refused:
        department.call("training/record", tokens("super"), replace(form, topics=topics))
    assert refused.value.code == "topics"
    assert refused.value.clause.startswith("463.9 (")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"course": "YouTube"}, "course"),
        ({"policy_version": 1}, "policy-version"),
        ({"topics": (*TOPICS, "lunch")}, "topics"),
        ({"held_us": 0}, "training-date"),
        ({"held_us": 1 << 60}, "training-date"),
    ],
)
def test_a_record_that_says_something_else_is_refused(
    department: Department, tokens: Tokens, form: TrainingForm, change: dict[str, object], code: str
) -> None:
    with pytest.raises(DeskRefusal) as refused:
        department.call("training/record", tokens("super"), replace(form, **change))  # type: ignore[arg-type]
    assert refused.value.code == code


def test_training_lasts_a_year_and_no_longer(department: Department) -> None:
    search = RunForm(query=department.plate("8XYZ123"), ground=GROUND)
    department.clock.step(300 * DAY_US)
    department.renew_password("comm1")
    department.clock.step(59 * DAY_US)
    assert isinstance(department.call("inquiry/run", department.logon("comm1"), search), Answer)
    department.clock.step(2 * DAY_US)
    with pytest.raises(DeskRefusal) as refused:
        department.call("inquiry/run", department.logon("comm1"), search)
    assert (refused.value.code, refused.value.clause) == ("training-expired", "463.9")


def test_no_person_touches_data_before_their_first_training(department: Department, tokens: Tokens) -> None:
    department.add_person(tokens("chief"), "comm2", (Role.COMMUNICATIONS,))
    token = department.logon("comm2")
    with pytest.raises(DeskRefusal) as refused:
        department.call("inquiry/run", token, RunForm(query=department.plate("8XYZ123"), ground=GROUND))
    assert (refused.value.code, refused.value.clause) == ("untrained", "463.3")
    department.train(tokens("super"), "comm2", "super")
    answer = department.call("inquiry/run", token, RunForm(query=department.plate("8XYZ123"), ground=GROUND))
    assert isinstance(answer, Answer)


@pytest.mark.parametrize("name", sorted(WITH_DATA))
def test_who_is_not_trained_makes_opens_or_approves_no_change_about_plates_or_reads(
    department: Department, tokens: Tokens, name: str
) -> None:
    """463.3: this includes hot lists and holds, even if the call's kind (accounts, settings) needs none."""
    department.add_person(tokens("chief"), "super2", (Role.CCAT_SUPERVISOR,))
    asks = replace(forms(department)[name], propose=True)
    if name == "hold/export":
        asks = replace(asks, hold=department.held(tokens("super"), department.reads[:1]))
    proposal = department.call(name, tokens("super"), asks).proposal  # type: ignore[attr-defined]
    yes = DecideForm(proposal=proposal, granted=True, reason="it is in order")
    second, size = department.logon("super2"), department.desk.log.size()
    for call, form in ((name, asks), ("change/show", ShowForm(proposal=proposal)), ("change/approve", yes)):
        with pytest.raises(DeskRefusal) as refused:
            department.call(call, second, form)
        assert (call, refused.value.code) == (call, "untrained")
    assert {one.note.KIND for one in department.desk.log.entries(size)} == {"refused"}
    department.call("change/approve", second, replace(yes, granted=False))  # a refusal opens nothing


def test_every_change_whose_call_takes_training_takes_it_of_the_second_person() -> None:
    takes = {
        name
        for name, one in OPERATIONS.items()
        if CALLS[one.call].touches_data and "approval" in {each.name for each in fields(one.form)}
    }
    assert takes | {"hotlist/add", "hotlist/push"} == WITH_DATA


def test_a_sole_supervisor_is_not_sent_to_the_supervisor(department: Department) -> None:
    supervisor, others = (Role.CCAT_SUPERVISOR,), (Role.DISPATCHER,)
    cures = []
    for held in (supervisor, others):
        with pytest.raises(DeskRefusal) as refused:
            demand_current(department.desk.policy, Trainings(), "somebody", 0, held=held)
        cures.append(refused.value.cure)
    assert cures[0].startswith("be trained by another person, and have the ")
    assert "supervisor" not in cures[0].lower()
    assert "supervisor" in cures[1].lower()


def test_people_see_their_own_training_and_trainers_see_all(department: Department, tokens: Tokens) -> None:
    own = department.call("training/list", tokens("officer1"), NothingForm())
    assert [(one.user, one.training) for one in own] == [("officer1", "current")]  # type: ignore[attr-defined]
    everybody = department.call("training/list", tokens("super"), NothingForm())
    states = {one.user: one.training for one in everybody}  # type: ignore[attr-defined]
    assert states["vendor1"] == "none"
    assert states["comm1"] == "current"


def test_a_new_topic_leaves_everybody_a_month_to_be_trained_in_it(department: Department) -> None:
    """At the desk, key service and units alike; training after it was added includes it."""
    document = department.desk.policy_document.replace(b"version = 2\n", b"version = 3\n", 1)
    topic = b'[[training.topics]]\nid = "hot-lists"\nclause = "463.9 (a)"\ntext = "Verification"\n'
    first = document.index(b"[[training.topics]]")
    document = document[:first] + topic + document[first:]
    root = department.new_root(document=document, policy_version=3, policy_digest=policy_digest(document))
    adopt_root(department.home, department.desk, root, document)
    adopted_us, desk = department.clock.us, department.desk
    answer = department.call("inquiry/run", department.logon("comm1"), search(department))
    assert isinstance(answer, Answer)
    assert answer.reads
    month_us, second = NEW_TOPICS_DAYS * DAY_US, desk.book.signers.second
    came_us = second.topics["hot-lists"]
    second.demand_training("comm1", came_us - 1, came_us)  # called before it was added, entered after
    second.demand_training("comm1", came_us + month_us - 1, came_us + month_us)
    for at_us, topics in ((adopted_us + month_us - 1, 4), (adopted_us + month_us, 0)):
        people = {one.user: one for one in roster.people_of(desk.book, at_us)}
        assert len(people["comm1"].topics) == topics
    department.clock.step(month_us)
    with pytest.raises(DeskRefusal) as refused:
        department.call("inquiry/run", department.logon("comm1"), search(department))
    assert refused.value.code == "training-topics"
    with pytest.raises(UnsignedError, match="in a topic of the policy"):
        second.demand_training("comm1", department.clock.us)


def search(department: Department) -> RunForm:
    return RunForm(query=department.plate("8XYZ123"), ground=GROUND)


def with_topics(department: Department, *topics: str, version: int, reword: bool = False) -> None:
    """Adopt a policy with these additional topics, or with other words for one of them."""
    document = department.desk.policy_document
    document = document.replace(f"version = {version - 1}\n".encode(), f"version = {version}\n".encode(), 1)
    first = document.index(b"[[training.topics]]")
    said = "".join(
        f'[[training.topics]]\nid = "{one}"\nclause = "463.9 (a)"\ntext = "Verification"\n' for one in topics
    )
    document = document[:first] + said.encode() + document[first:]
    if reword:
        document = document.replace(b'"Verification"', b'"How an alert is verified"')
    root = department.new_root(
        document=document, policy_version=version, policy_digest=policy_digest(document)
    )
    adopt_root(department.home, department.desk, root, document)


@pytest.mark.parametrize("change", ["other words", "another topic"])
def test_a_later_policy_begins_no_new_month_for_a_topic(department: Department, change: str) -> None:
    """The desk, the key service and the cars agree."""
    month_us = NEW_TOPICS_DAYS * DAY_US
    with_topics(department, "hot-lists", version=3)
    department.clock.step(month_us - DAY_US)
    more = () if change == "other words" else ("redress",)
    with_topics(department, *more, version=4, reword=change == "other words")
    desk = department.desk
    department.call("inquiry/run", department.logon("comm1"), search(department))
    department.clock.step(2 * DAY_US)
    with pytest.raises(DeskRefusal) as refused:
        department.call("inquiry/run", department.logon("comm1"), search(department))
    assert refused.value.code == "training-topics"
    with pytest.raises(UnsignedError, match="in a topic of the policy"):
        desk.book.signers.second.demand_training("comm1", department.clock.us)
    people = {one.user: one for one in roster.people_of(desk.book, department.clock.us)}
    assert people["comm1"].topics == ()


def test_a_log_of_an_earlier_version_that_gave_no_month_is_right(
    department: Department, monkeypatch: pytest.MonkeyPatch
) -> None:
    def whole_or_not(policy: Policy, _trainings: Trainings, done: TrainingDone, _now_us: int) -> bool:
        return {topic.id for topic in policy.training.topics} <= set(done.topics)

    department.front.send_down()
    department.front.enter_sent()
    with monkeypatch.context() as patch:
        patch.setattr(roster, "is_whole", whole_or_not)
        with_topics(department, "hot-lists", version=3)
        department.front.send_down()
        department.front.enter_sent()
    folded = FoldedLog((department.home.settings.name,))
    for entry in department.desk.log.entries():
        folded.judge(entry)
    assert isinstance(entry.note, DocumentSent)
    assert (folded.problems, entry.note.name) == ([], roster.NAME)


@pytest.mark.parametrize(
    ("held_us", "at_us", "whole"),
    [(9, 10, True), (10, 10, False), (9, 9, False), (9, 10 + 31 * DAY_US, False)],
)
def test_an_earlier_training_stays_whole_for_a_month_after_a_topic_is_added(
    held_us: int, at_us: int, *, whole: bool
) -> None:
    assert in_topics({"a": 0, "b": 10}, ("a",), held_us=held_us, at_us=at_us) is whole
    assert in_topics({"a": 10}, ("a", "b"), held_us=held_us, at_us=at_us)
    assert not in_topics({"a": 0, "b": 0}, ("a",), held_us=held_us, at_us=at_us)
    assert not in_topics({"a": 0, "b": 10, "c": 0}, ("a",), held_us=held_us, at_us=at_us)


def test_a_topic_came_with_the_policy_that_first_had_it() -> None:
    first = topics_came({}, ["a", "b"], 5)
    assert first == {"a": 0, "b": 0}
    second = topics_came(first, ["b", "a", "c"], 9)
    assert second == {"a": 0, "b": 0, "c": 9}
    assert topics_came(topics_came(second, ["a"], 20), ["a", "c"], 30) == {"a": 0, "c": 30}
