"""Images of reads at the desk: from an own search, or in the answer to an own request (463.5 (b))."""

from __future__ import annotations

from storage.leaf import IMAGES
from sync.department.content.reads import parse_name
from sync.department.desk.context import DeskContext
from sync.department.desk.desk import Caller, Desk, Plan
from sync.department.desk.inquiry import rules
from sync.department.desk.inquiry.forms import AnswerImageForm, ImageForm, Images
from sync.department.desk.inquiry.searching import found_by, open_reads
from sync.department.journal.entries import Entry
from sync.department.journal.inquiry_entries import Access, Ground, InquiryAsked, images_of
from sync.department.policy.refusals import DeskRefusal, NotYetError
from sync.department.policy.roles import Call


def image(front: DeskContext, token: str, form: ImageForm) -> Images:
    """View the images of a read that your own search found: a separate access."""
    desk = front.desk

    def plan(caller: Caller) -> Plan[Entry]:
        parse_name(form.read)
        rules.check_ground(desk.policy, form.ground)
        if form.read not in found_by(front, form.access, caller.user):
            raise DeskRefusal(
                "no search of yours found that read",
                code="other-read",
                clause="463.5 (b)",
                cure="search for its plate first, and open the picture from the results",
            )
        note = _image_entry(form.read, desk.access(form.access).plate, form.ground, -1)
        return [note], lambda made: made[0]

    return _opened(front, desk.act(token, Call.IMAGE_VIEW, plan), Call.IMAGE_VIEW, form.read)


def answer_image(front: DeskContext, token: str, form: AnswerImageForm) -> Images:
    """View the images of a read in the answer to your own request, under that request's ground."""
    desk = front.desk

    def plan(caller: Caller) -> Plan[Entry]:
        parse_name(form.read)
        asked, reads = answered_request(desk, form.request, caller)
        if form.read not in reads:
            raise DeskRefusal("that read is not in that answer", code="other-read", clause="463.5 (b)")
        note = _image_entry(form.read, asked.query.plate, asked.ground, form.request)
        return [note], lambda made: made[0]

    return _opened(front, desk.act(token, Call.INQUIRY_ANSWER, plan), Call.INQUIRY_ANSWER, form.read)


def answered_request(desk: Desk, number: int, caller: Caller) -> tuple[InquiryAsked, tuple[str, ...]]:
    """The caller's request with the reads of its answer, while they can be seen. Raises DeskRefusal."""
    asked = desk.book.queue.asked.get(number)
    answered = desk.book.queue.answered.get(number)
    if asked is None or asked.stamp.user != caller.user:
        raise DeskRefusal("that is not a request of yours", code="other-request", clause="463.5 (a)")
    if answered is None:
        raise NotYetError("that request has not been answered yet", code="unanswered", clause="463.5 (c)")
    if answered.note.access < 0:
        raise DeskRefusal(
            f"that request was declined: {answered.note.reason}",
            code="declined",
            clause="463.5 (c)",
            cure="request it again, with what was missing",
        )
    rules.demand_answer_young(desk.policy, answered, caller.at_us)
    return asked.note, answered.note.reads


def _image_entry(read: str, plate: str, ground: Ground, request: int) -> Access:
    return Access(
        action="image",
        elements=images_of(read),
        plate=plate,
        ground=ground,
        on_behalf_of="",
        request=request,
        approval=-1,
        reads=(read,),
    )


def _opened(front: DeskContext, entry: Entry, call: Call, read: str) -> Images:
    opened, unwitnessed = open_reads(front, entry, call, (read,), IMAGES)
    parts = opened[0].elements
    return Images(
        access=entry.sequence,
        read=read,
        patch=parts["patch"].content if "patch" in parts else b"",
        overview=parts["overview"].content if "overview" in parts else b"",
        unwitnessed=unwitnessed,
    )
