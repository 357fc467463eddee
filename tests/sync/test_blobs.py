"""Storage of packs: a folder and an S3-compatible store keep the same promises."""

from __future__ import annotations

import base64
import hashlib
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from receiver_twins import Joined
from s3_twin import BUCKET, CREDENTIALS, s3_server
from sync_twins import bare_home, checked, converse

from storage import files
from storage.times import DAY_US, now_us
from sync.department.ground.department_time import Clocks
from sync.department.server.server import Department
from sync.department.store import blobs_s3
from sync.department.store.blobs import FolderPacks, PackStore, open_packs
from sync.department.store.blobs_s3 import S3Packs, open_s3
from sync.errors import InvalidInputError, LinkError, StoreError

DAY = 20_500


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with s3_server() as url:
        yield url


@pytest.fixture(params=["folder", "s3"])
def packs(request: pytest.FixtureRequest, tmp_path: Path) -> PackStore:
    if request.param == "folder":
        return FolderPacks(tmp_path / "blobs")
    name = hashlib.sha256(request.node.name.encode()).hexdigest()[:8]
    return open_s3(f"s3://{BUCKET}/{name}", request.getfixturevalue("endpoint"))


def test_a_piece_comes_back_as_it_was_put(packs: PackStore) -> None:
    pieces = [os.urandom(size) for size in (9000, 1, 150_000)]
    name = packs.put(DAY, pieces)
    assert packs.get(DAY, name, 9001, 150_000) == pieces[2]
    assert packs.get(DAY, name, 9000, 1) == pieces[1]
    assert name == hashlib.sha256(b"".join(pieces)).hexdigest()


def test_the_same_pack_put_twice_is_one(packs: PackStore) -> None:
    assert packs.put(DAY, [b"pack"]) == packs.put(DAY, [b"pack"])
    assert len(packs.names(DAY)) == 1


def test_a_days_folder_that_an_earlier_process_made_is_durable_with_the_first_pack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That process may have ended before syncing the folder, in which rows and receipts name packs."""
    packs = FolderPacks(tmp_path / "blobs")
    (tmp_path / "blobs" / str(DAY)).mkdir()
    synced = list[str]()
    monkeypatch.setattr(files, "sync_dir", lambda path: synced.append(path.name))
    for piece in (b"one", b"two"):
        packs.put(DAY, [piece])
    assert synced == ["blobs", str(DAY), str(DAY)]


def test_what_is_missing_or_cut_short_says_so(packs: PackStore) -> None:
    name = packs.put(DAY, [b"0123456789"])
    with pytest.raises(StoreError, match="missing"):
        packs.get(DAY, "f" * 64, 0, 4)
    with pytest.raises(StoreError, match="cut short"):
        packs.get(DAY, name, 5, 10)


@pytest.mark.parametrize(("offset", "length"), [(-1, 2), (0, -5), (9 * 10**18, 1), (0, 1 << 62)])
def test_a_place_that_no_pack_has_is_refused_as_one_that_is_cut_short(
    packs: PackStore, offset: int, length: int
) -> None:
    name = packs.put(DAY, [b"content"])
    with pytest.raises(StoreError):
        packs.get(DAY, name, offset, length)


def test_days_are_apart_and_drop_whole(packs: PackStore) -> None:
    first = [packs.put(DAY, [bytes([number]) * 100]) for number in range(5)]
    other = packs.put(DAY + 1, [b"other"])
    assert packs.names(DAY) == set(first)
    assert packs.days() == {DAY, DAY + 1}
    packs.remove(DAY, set(first[:2]))
    assert packs.names(DAY) == set(first[2:])
    assert packs.drop(DAY) == 3
    assert packs.names(DAY) == set()
    assert packs.drop(DAY) == 0
    assert packs.get(DAY + 1, other, 0, 5) == b"other"


STRANGE = [str(1 << 70), "9" * 200, "007", "\u0662\u0663", "-1", "x"]


def put_strange(packs: PackStore, tmp_path: Path) -> None:
    """Write what others might: names that `put` never makes, days that never were, a folder for a pack."""
    for name in [*STRANGE, "1", "2", "99999"]:
        if isinstance(packs, FolderPacks):
            folder = tmp_path / "blobs" / name
            folder.mkdir(parents=True)
            (folder / ("0" * 64)).write_bytes(b"x")
        else:
            assert isinstance(packs, S3Packs)
            packs._client.put_object(Bucket=BUCKET, Key=f"{packs._prefix}{name}/{'0' * 64}", Body=b"x")


def test_names_that_are_not_days_are_ignored(packs: PackStore, tmp_path: Path) -> None:
    put_strange(packs, tmp_path)
    packs.put(DAY, [b"ours"])
    assert packs.days() == {1, 2, 99_999, DAY}


class Lister:
    """A store whose listing does not end: these pages, then the last one again and again."""

    def __init__(self, *pages: dict[str, Any]) -> None:
        self._pages = iter(pages)
        self._last: dict[str, Any] = {}

    def list_objects_v2(self, **_: Any) -> dict[str, Any]:
        self._last = next(self._pages, self._last)
        return self._last


def page(key: str, token: str) -> dict[str, Any]:
    more = {"IsTruncated": True, "NextContinuationToken": token} if token else {}
    return {"Contents": [{"Key": f"p/{key}"}], **more}


class Endless:
    """A listing with new tokens and new keys forever."""

    def __init__(self) -> None:
        self.pages = 0

    def list_objects_v2(self, **_: Any) -> dict[str, Any]:
        self.pages += 1
        return page(f"1/{self.pages}", f"{self.pages}")


@pytest.mark.one_python
@pytest.mark.parametrize(
    ("pages", "found"),
    [
        ([page("1/a", "again")], "repeats itself"),
        ([page("1/a", "t1"), page("1/b", "t2"), page("1/c", "t1")], "repeats itself"),
        ([page("1/a", "t1"), page("1/b", "t2"), page("1/a", "t3")], "repeats itself"),
        ([{"Contents": [{}]}], "is incomplete: KeyError"),
        ([{"Contents": [None]}], "is incomplete: TypeError"),
        ([{"IsTruncated": True}], "is incomplete: KeyError"),
    ],
)
def test_a_listing_that_repeats_itself_or_lacks_a_field_is_refused(
    pages: list[dict[str, Any]], found: str, endpoint: str
) -> None:
    with pytest.raises(StoreError, match=found):
        S3Packs(Lister(*pages), BUCKET, "p").days()


def test_a_listing_of_pages_in_any_order_is_read_to_its_end(
    endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = {"IsTruncated": True, "NextContinuationToken": "t3"}
    pages = (page("2/b", "t1"), page("1/a", "t2"), empty, page("3/c", ""))
    assert S3Packs(Lister(*pages), BUCKET, "p").days() == {1, 2, 3}
    monkeypatch.setattr(blobs_s3, "MOST_PAGES", 50)
    endless = Endless()
    with pytest.raises(StoreError, match="does not end"):
        S3Packs(endless, BUCKET, "p").days()
    assert endless.pages == 50


class Wire:
    """A store behind HTTPS that answers each request with the next of these (status, headers, body)."""

    def __init__(self, packs: PackStore, *answers: tuple[int, dict[str, str], bytes]) -> None:
        assert isinstance(packs, S3Packs)
        self.asked: list[Any] = []
        self._answers = iter(answers)
        packs._client.meta.events.register("before-send.s3", self._answer)

    def _answer(self, request: Any, **_: Any) -> Any:
        from botocore.awsrequest import AWSResponse
        from urllib3 import HTTPResponse

        self.asked.append(request)
        status, headers, body = next(self._answers)
        raw = HTTPResponse(io.BytesIO(body), headers, status, preload_content=False)
        return AWSResponse(request.url, status, headers, raw)


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> PackStore:
    """A store that cannot be reached; `Wire` answers for it."""
    for module in ("boto3", "botocore"):
        pytest.importorskip(module)
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    return open_s3(f"s3://{BUCKET}/p", "https://minio.example.gov")


def test_what_goes_over_tls_has_the_checksums_that_every_store_knows(elsewhere: PackStore) -> None:
    """Stores from before 2025 refuse trailers, and DeleteObjects without Content-MD5, so purges failed."""
    wire = Wire(elsewhere, (200, {"ETag": '"x"'}, b""), (200, {}, b"<DeleteResult/>"))
    elsewhere.put(DAY, [b"pack"])
    elsewhere.remove(DAY, {"0" * 64})
    put, delete = wire.asked
    assert put.headers["X-Amz-Content-SHA256"] == hashlib.sha256(b"pack").hexdigest().encode()
    assert "X-Amz-Trailer" not in put.headers
    md5 = base64.b64encode(hashlib.md5(delete.body, usedforsecurity=False).digest())
    assert delete.headers["Content-MD5"] == md5
    assert b"content-md5" in delete.headers["Authorization"]


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (403, "RequestTimeTooSkewed", r"put_object \(RequestTimeTooSkewed\) \(set this machine's clock"),
        (403, "SignatureDoesNotMatch", "correct the store's credentials"),
        (400, "AuthorizationHeaderMalformed", "set AWS_DEFAULT_REGION"),
        (403, "A\x9b31mB", r"put_object \(unknown\)$"),
        (403, "A" * 5000, r"put_object \(unknown\)$"),
    ],
)
def test_a_refusal_names_its_code_and_what_to_do(
    elsewhere: PackStore, status: int, code: str, said: str
) -> None:
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>m</Message></Error>".encode()
    wire = Wire(elsewhere, *[(status, {}, body)] * 9)
    with pytest.raises(StoreError, match=said):
        elsewhere.put(DAY, [b"pack"])
    assert len(wire.asked) <= 2


def test_redirects_without_end_are_a_store_that_does_not_answer(elsewhere: PackStore) -> None:
    body = b"<?xml version='1.0'?><Error><Code>TemporaryRedirect</Code></Error>"
    Wire(elsewhere, *[(307, {"Location": "https://x.example.gov/"}, body)] * 2000)
    with pytest.raises(StoreError):
        elsewhere.put(DAY, [b"pack"])


@pytest.mark.thorough
def test_a_department_keeps_its_images_in_s3_and_purges_them_there(tmp_path: Path, endpoint: str) -> None:
    clock = [now_us()]
    home = bare_home(tmp_path / "d", blobs_folder=f"s3://{BUCKET}/whole", blobs_endpoint=endpoint)
    department = Department(home, Clocks.simulated(lambda: clock[0]))
    unit = Joined(tmp_path / "unit", department, "unit")
    try:
        unit.add(4, size=20_000)
        assert converse(unit, department).done
        assert not (home.path / "blobs").exists()
        assert len(department.packs.names(clock[0] // DAY_US)) == 1
        assert checked(home).problems == []
        clock[0] += 367 * DAY_US
        (receipt,) = department.retention.run()
        assert receipt.packs == 1
        assert department.packs.days() == set()
        assert checked(home).problems == []
    finally:
        unit.close()
        department.close()


@pytest.mark.one_python
def test_a_store_that_is_away_refuses_and_nothing_is_half_taken(tmp_path: Path, endpoint: str) -> None:
    home = bare_home(tmp_path / "d", blobs_folder=f"s3://{BUCKET}/away", blobs_endpoint=endpoint)
    department = Department(home)
    unit = Joined(tmp_path / "unit", department, "unit")
    there = department.receiver._arrival._packs
    try:
        unit.add(2, size=20_000)
        department.receiver._arrival._packs = open_s3("s3://no-such-bucket", endpoint)
        with pytest.raises(LinkError, match="cannot store now"):
            converse(unit, department)
        department.receiver._arrival._packs = there
        assert converse(unit, department).done
        assert checked(home).problems == []
    finally:
        unit.close()
        department.close()


@pytest.mark.one_python
@pytest.mark.parametrize("url", ["s3:", "s3:///prefix", "s3://user@bucket", "s3://bucket?x=1"])
def test_an_address_that_names_no_bucket_is_refused_with_its_setting(tmp_path: Path, url: str) -> None:
    home = bare_home(tmp_path / "d", blobs_folder=url)
    with pytest.raises(InvalidInputError, match="blobs_folder"):
        open_packs(home)
