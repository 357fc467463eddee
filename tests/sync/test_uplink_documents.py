"""Receipts and documents in a conversation: what is requested, accepted and refused."""

from __future__ import annotations

import pytest
from uplink_twins import LOG_ID, Log, Office, talk

from storage.errors import EnvelopeError
from sync import messages
from sync.errors import LinkError, NotStoredError, RefusedByDepartmentError


@pytest.mark.parametrize(
    ("ranges", "without", "taken"),
    [
        (((2, 3), (5, 7)), None, True), ((), None, False),
        (((2, 3), (5, 7)), (2, 8), False),  # contains no read
        (((2, 3), (5, 7)), (2, 1 << 62), False),  # nothing to ask for
    ],
)  # fmt: skip
def test_a_receipt_is_logged_where_it_covers_content(
    ranges: tuple[tuple[int, int], ...], without: tuple[int, int] | None, taken: bool
) -> None:
    log, office = Log(received=2, sealed=lambda *span: span != without).reads(9), Office(size=9)
    office.ranges = ranges
    progress = talk(log, office)
    assert [one for one in log.done if one[0] == "receipt"] == [("receipt", ranges)] * taken
    assert progress.received == (ranges if taken else ())
    assert len(office.sent("receipt")) == (without != (2, 1 << 62))


REF = messages.DocumentRef(name="policy", version=3)


@pytest.mark.parametrize(
    ("known", "wanted", "may_continue", "taken"),
    [(2, True, True, True), (3, True, True, False), (0, False, True, False), (0, True, False, False)],
)
def test_a_document_is_fetched_where_it_is_newer_and_of_use(
    known: int, wanted: bool, may_continue: bool, taken: bool
) -> None:
    log = Log(versions={"policy": known}, unwanted=set() if wanted else {"policy"})
    office = Office(documents=(REF,))
    progress = talk(log, office, may_continue=lambda: may_continue)
    assert [one.offset for one in office.sent("document")] == [0, 4, 8] * taken
    assert log.done[-1:] == [("document", "policy", b"a document")] * taken or not taken
    assert progress.documents == ("policy",) * taken


@pytest.mark.parametrize("what", ["alert", "parcel"])
def test_a_department_that_cannot_store_gives_documents_and_receipts_all_the_same(what: str) -> None:
    """They may include new day keys, which solve the problem."""

    def no(_asked: object) -> messages.Message:
        raise NotStoredError("no")

    log, office = Log().reads(1, kind="alert"), Office(documents=(REF,))
    log.hits, office.instead[what], office.ranges = [0] if what == "alert" else [], no, ((0, 1),)
    with pytest.raises(NotStoredError):
        talk(log, office)
    assert log.done[-2:] == [("receipt", ((0, 1),)), ("document", "policy", b"a document")]
    assert office.sent("leaves")  # an alert whose key is lost there does not stop the log


def test_a_document_without_a_word_is_one() -> None:
    log, office = Log(), Office(documents=(REF,))
    office.document = b""
    assert talk(log, office).documents == ("policy",)


@pytest.mark.parametrize("refused", ["here", "there"])
def test_a_document_that_is_refused_is_an_incident_and_holds_no_other_up(refused: str) -> None:
    def no(_asked: object) -> messages.Message:
        raise RefusedByDepartmentError("gone", code="malformed")

    log, office = Log(fails=EnvelopeError("no") if refused == "here" else None), Office(documents=(REF,) * 2)
    if refused == "there":
        office.instead["document"] = no
    progress = talk(log, office)
    kind = "EnvelopeError" if refused == "here" else "RefusedByDepartmentError"
    assert [one for one in log.done if one[0] == "incident"] == [
        ("incident", "document-refused", f"policy: {kind}")
    ] * 2
    assert (progress.documents, progress.done) == ((), True)


@pytest.mark.parametrize(
    ("data", "total", "offset", "good"),
    [(b"", 0, 0, True), (b"", 1, 0, False), (b"ab", 2, 0, True), (b"ab", 3, 1, False)],
)
def test_a_part_of_a_document_follows_the_one_before(
    data: bytes, total: int, offset: int, good: bool
) -> None:
    office = Office(documents=(REF,))
    office.instead["document"] = lambda asked: messages.DocumentPart(
        log_id=LOG_ID, name="policy", document_version=3, total=total, offset=offset, data=data
    )
    if good:
        assert talk(Log(), office).documents == ("policy",)
        return
    with pytest.raises(LinkError, match="a piece of a document that does not follow"):
        talk(Log(), office)
