"""A forged cover for each refusal of the guard in front of the keys; none opens anything."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import pytest
from desk_twins import DAY_US, GROUND, HOUR_US, MINUTE_US, Department
from flipped import flip

from storage import envelope, merkle
from storage.checkpoint import Checkpoint, sign_checkpoint
from sync.department.content.key_door import Cover
from sync.department.content.reads import OpenedRead
from sync.department.desk.inquiry.forms import Answer, RunForm
from sync.department.journal.access_log import LogPart
from sync.department.journal.inquiry_entries import Query
from sync.department.policy.refusals import DeskRefusal

PLATE = "8XYZ123"


@dataclass(frozen=True, slots=True)
class Search:
    """A search for which the guard opened content, its cover and the day of its reads."""

    department: Department
    answer: Answer
    cover: Cover
    query: Query
    day: int

    def tokens(self, cover: Cover, plate: str = PLATE) -> None:
        self.department.front.door.tokens(cover, replace(self.query, plate=plate), [self.day])

    def open(self, cover: Cover, read: str, *names: str) -> Sequence[OpenedRead]:
        front = self.department.front
        return front.reads.open(front.door, cover, [read], names)

    def unwitnessed(self, size: int, *, changed: int | None = None) -> Cover:
        """The cover with an unwitnessed head of `size` entries; `changed`: an entry left out of it."""
        log = self.department.desk.log
        hashes = [merkle.leaf_hash(log.opening(at)[0]) for at in range(size)]
        if changed is not None:
            hashes[changed] = bytes(32)

        def subtree(level: int, index: int) -> bytes:
            return merkle.root_of(hashes[index << level : (index + 1) << level])

        head = Checkpoint(log.origin, size, merkle.root_of(hashes))
        return replace(
            self.cover,
            size=size,
            checkpoint=sign_checkpoint(head, log._key),
            inclusion=tuple(merkle.inclusion_proof(self.cover.sequence, size, subtree)),
            unwitnessed=True,
        )


@pytest.fixture
def search(department: Department, tokens: Callable[[str], str]) -> Search:
    query = department.plate(PLATE)
    answer = department.call("inquiry/run", tokens("comm1"), RunForm(query=query, ground=GROUND))
    assert isinstance(answer, Answer)
    cover = department.desk.covered(answer.access)
    return Search(department, answer, cover, query, department.clock.us // DAY_US)


def test_the_true_cover_opens_what_was_searched(search: Search) -> None:
    days = range(search.day - 10, search.day + 1)
    tokens = search.department.front.door.tokens(search.cover, search.query, days)
    assert len(tokens) == 3  # the days with reads
    assert all(tokens.values())
    read = search.answer.reads[0].read
    (opened,) = search.open(search.cover, read, "text", "place")
    assert (opened.read, set(opened.elements)) == (read, {"text", "place"})


def test_a_search_opens_nothing_of_a_day_before_it_begins(search: Search) -> None:
    """Root asks for the whole year under a lookup of ten days."""
    door, early = search.department.front.door, search.query.since_us // DAY_US - 1
    asks: tuple[Callable[[], object], ...] = (
        lambda: door.tokens(search.cover, search.query, [early, search.day]),
        lambda: door.match(search.cover, search.query, early, bytes(32), []),
    )
    for ask in asks:
        with pytest.raises(DeskRefusal, match="the search begins after that day of receipt") as refused:
            ask()
        assert refused.value.code == "other-day"


def with_a_bit_of_the_entry_flipped(search: Search) -> None:
    search.tokens(replace(search.cover, leaf=flip(search.cover.leaf)))


def without_its_inclusion(search: Search) -> None:
    search.tokens(replace(search.cover, inclusion=()))


def under_no_head(search: Search) -> None:
    search.tokens(replace(search.cover, checkpoint="nothing\n"))


def with_content_that_is_no_entry(search: Search) -> None:
    search.tokens(replace(search.cover, content=envelope.encode([1])))


def with_another_opening(search: Search) -> None:
    search.tokens(replace(search.cover, salt=bytes(len(search.cover.salt))))


def of_another_kind(search: Search) -> None:
    search.department.front.door.release(search.cover)


def under_another_number(search: Search) -> None:
    """Keys of holds, and records opened for alerts, are named by the number."""
    search.tokens(replace(search.cover, sequence=search.cover.sequence - 1))


def older_than_an_hour(search: Search) -> None:
    clock, at_us = search.department.clock, search.department.desk.log.entry(search.answer.access).stamp.at_us
    clock.step(at_us + HOUR_US - clock.us)
    search.tokens(search.cover)
    clock.step(1)
    search.tokens(search.cover)


def dated_back(search: Search, minutes: int) -> None:
    """Root enters the search again with an earlier time, in the last minutes of a designation."""
    desk = search.department.desk
    search.tokens(search.cover)  # shows a head without what follows
    entry = desk.log.entry(search.answer.access)
    stamp = replace(entry.stamp, at_us=desk.now_us() - minutes * MINUTE_US)
    desk.log._newest = (desk.log.size(), 0)  # root's own program skips this check
    search.tokens(desk.covered(desk.log.append(entry.note, stamp).sequence))


def dated_before_a_head_that_lacks_it(search: Search) -> None:
    dated_back(search, 11)


def dated_back_by_what_two_clocks_may_differ(search: Search) -> None:
    dated_back(search, 9)


def from_a_time_to_come(search: Search) -> None:
    """Later by more than two clocks may differ."""
    search.department.clock.step(-11 * MINUTE_US)
    search.tokens(search.cover)


def of_another_search(search: Search) -> None:
    search.tokens(search.cover, "7ABC000")


def of_another_read(search: Search) -> None:
    found = {one.read for one in search.answer.reads}
    search.open(search.cover, next(one for one in search.department.reads if one not in found), "text")


def of_an_image(search: Search) -> None:
    search.open(search.cover, search.answer.reads[0].read, "patch")


def of_no_hold(search: Search) -> None:
    front = search.department.front
    front.reads.hold(front.door, search.cover, [search.answer.reads[0].read], ["text"])


def under_another_tree_of_the_same_size(search: Search) -> None:
    search.tokens(search.cover)
    search.tokens(search.unwitnessed(search.cover.size, changed=0))


def under_a_larger_tree_that_is_not_this_one(search: Search) -> None:
    search.department.logon("super")
    search.tokens(search.unwitnessed(search.department.desk.log.size(), changed=0))


def under_a_smaller_tree_that_is_not_this_one(search: Search) -> None:
    search.department.logon("super")
    search.tokens(search.unwitnessed(search.department.desk.log.size()))
    search.tokens(search.unwitnessed(search.cover.size, changed=0))


def _next_entries(search: Search) -> LogPart:
    """The part of the log that the key service is shown next."""
    log, door = search.department.desk.log, search.department.front.door
    start = log.size()
    door.follow(log.part(0, start))
    search.department.logon("super")
    return log.part(start, log.size())


def with_entries_that_were_changed(search: Search) -> None:
    part = _next_entries(search)
    search.department.front.door.follow(replace(part, leaves=(flip(part.leaves[0]), *part.leaves[1:])))


def with_entries_that_do_not_parse(search: Search) -> None:
    part = _next_entries(search)
    search.department.front.door.follow(replace(part, leaves=(b"leaf", *part.leaves[1:])))


def with_an_entry_left_out(search: Search) -> None:
    search.department.front.door.follow(replace(_next_entries(search), openings=()))


def by_an_entry_that_nobody_signed(search: Search) -> None:
    """Root enters the search again, using the log's key."""
    desk = search.department.desk
    entry = desk.log.entry(search.answer.access)
    stamp = replace(entry.stamp, at_us=max(desk.now_us(), desk.log.newest_us()))
    search.tokens(desk.covered(desk.log.append(entry.note, stamp).sequence))


def after_the_grace(search: Search) -> None:
    search.department.logon("super")
    cover = search.unwitnessed(search.department.desk.log.size())
    search.tokens(cover)
    search.department.clock.step(16 * MINUTE_US)
    search.tokens(cover)


FORGED = [
    (with_a_bit_of_the_entry_flipped, "cover", "the entry is not shown to be in the log"),
    (without_its_inclusion, "cover", "the entry is not shown to be in the log"),
    (under_no_head, "cover", "the entry is not shown to be in the log"),
    (with_content_that_is_no_entry, "cover", "the entry does not parse"),
    (with_another_opening, "cover", "the entry shown is another one"),
    (of_another_kind, "cover", "the entry shown is another one"),
    (under_another_number, "cover", "the entry shown is another one"),
    (older_than_an_hour, "old-cover", r"the entry is more than an hour old \("),
    (dated_before_a_head_that_lacks_it, "old-cover", "is dated 11 minutes before a tree head that lacks it"),
    (dated_back_by_what_two_clocks_may_differ, "unsigned", "is not proven to be comm1's"),
    (from_a_time_to_come, "old-cover", "minutes ahead of the key service's clock: compare the two"),
    (of_another_search, "other-search", "the entry belongs to another search"),
    (of_another_read, "other-read", "none of comm1's searches that the call names found that read"),
    (of_an_image, "other-action", "viewing an image needs an entry of its own"),
    (of_no_hold, "other-action", "the entry does not allow: hold"),
    (under_another_tree_of_the_same_size, "forked", "this is not the log that content was opened for"),
    (under_a_larger_tree_that_is_not_this_one, "forked", "not the log that content was opened for"),
    (under_a_smaller_tree_that_is_not_this_one, "forked",
     "the log shown does not continue the one that content was opened for"),
    (with_entries_that_were_changed, "forked", "does not continue the one that was followed"),
    (with_entries_that_do_not_parse, "cover", "the entries shown are not valid"),
    (with_an_entry_left_out, "forked", "an entry was not shown"),
    (by_an_entry_that_nobody_signed, "unsigned", "is not proven to be"),
    (after_the_grace, "witness-away", "the witnesses have been away too long"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("attack", "code", "words"), [pytest.param(*one, id=one[0].__name__) for one in FORGED]
)
def test_a_forged_cover_opens_nothing(
    search: Search, attack: Callable[[Search], None], code: str, words: str
) -> None:
    with pytest.raises(DeskRefusal, match=words) as refused:
        attack(search)
    assert refused.value.code == code
