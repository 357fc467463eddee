"""Exported evidence has a cover sheet for lawyers and C2PA manifests that any tool can open."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC
from html.parser import HTMLParser
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from desk_twins import GROUND, HOLD, Department
from desk_units import Pass, read_of
from packages import earlier_program, signed_again, unpacked
from structlog.testing import capture_logs

from storage import codec, merkle, tlog_proof
from storage import leaf as leaves
from storage.checkpoint import NoteKey, open_checkpoint
from storage.cover_sheet import rows_of
from storage.errors import PackageError
from storage.record_base import ClockState
from storage.sealing import Opened, commitment
from sync.department.content import cover_sheet, package
from sync.department.content.provenance import PROOF_LABEL, ManifestAuthority
from sync.department.content.reads import OpenedRead
from sync.department.desk.holds.calls import Exported, ExportForm
from sync.department.ground.local_time import zone_of
from sync.errors import HomeError

Tokens = Callable[[str], str]
ATTACK = "<img src=x onerror=alert(1)>\"'&"


def exported(department: Department, token: str, **changes: str) -> dict[str, bytes]:
    """The files in a package of two reads."""
    hold = department.held(token, department.reads[:2], **changes)
    made = department.call("hold/export", token, ExportForm(hold=hold, medium="USB 1", ground=GROUND))
    assert isinstance(made, Exported)
    package.check(made.package, department.desk.log.public)
    with zipfile.ZipFile(io.BytesIO(made.package)) as archive:
        return {one: archive.read(one) for one in archive.namelist()}


class Tags(HTMLParser):
    """Collects every tag with its attributes, and the text between tags."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, Mapping[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_sheet_says_why_and_by_whom_and_shows_every_read(department: Department, tokens: Tokens) -> None:
    files = exported(department, tokens("super"))
    page = Tags(files["cover.html"].decode())
    for said in ("Superior Court", "26-001234", "USB 1", "Super (super, ccat-supervisor)", "7ABC000"):
        assert said in page.text
    assert page.text.count("The department received this read on 2026-09-18 (UTC)") == 2
    images = [str(attributes["src"]) for tag, attributes in page.tags if tag == "img"]
    assert len(images) == 4
    assert sum(one.startswith("data:image/") for one in images) == 2
    assert {one for one in images if not one.startswith("data:")} <= set(files)
    for sentence in ("does not prove that the plate was read right", "Look at the image"):
        assert sentence in page.text


def test_the_sheet_says_what_a_second_person_approved(department: Department, tokens: Tokens) -> None:
    supervisor = tokens("super")
    form = replace(HOLD, reads=department.reads[:1], accesses=())
    hold = department.two_hands("hold/place", supervisor, form, second="chief").hold
    export = ExportForm(hold=hold, medium="USB 1", ground=GROUND)
    made = department.two_hands("hold/export", supervisor, export, second="chief")
    assert package.check(made.package, department.desk.log.public).sheet_unchecked == ""
    with zipfile.ZipFile(io.BytesIO(made.package)) as archive:
        said = archive.read("cover.txt").decode()
    second = r"Chief Example \(chief\) approved the hold, proposal \d+ of the access log; "
    second += r"Chief Example \(chief\) approved this export, proposal \d+ of the access log\n"
    assert re.search(f"second person: {second}", said)
    assert "second person" not in exported(department, supervisor)["cover.txt"].decode()
    with earlier_program(2):
        again = department.two_hands("hold/export", supervisor, export, second="chief")
    files, key = unpacked(again.package), department.home.log_key()
    assert re.search(r"second person: approved the hold, proposal \d+", files["cover.txt"].decode())
    checked = package.check(again.package, key.public_key())
    assert (checked.is_earlier, checked.sheet_unchecked) == (True, "")
    for made_as in (package.FORMAT, package.NO_NAMES):
        plain = made.package if made_as == package.NO_NAMES else again.package
        with pytest.raises(PackageError, match="no program writes such a sheet in a package of this format"):
            package.check(signed_again(unpacked(plain), key, format=made_as), key.public_key())


def test_the_sheet_shows_each_time_in_utc_and_on_the_departments_clocks(
    department: Department, tokens: Tokens
) -> None:
    page = Tags(exported(department, tokens("super"))["cover.html"].decode())
    at = r"\d{4}-\d\d-\d\d (\d\d):(\d\d):\d\d\.\d{3} UTC"
    times = re.findall(at, page.text)
    both = re.findall(at + r" \((?:\d{4}-\d\d-\d\d )?(\d\d):(\d\d):\d\d PDT\)", page.text)
    assert len(both) == len(times) >= 6  # made, held since, and first and last seen for two reads
    for hour, minute, here, here_minute in both:
        assert (int(here) + 7) % 24 == int(hour)
        assert minute == here_minute


def test_the_sheet_loads_and_runs_nothing(department: Department, tokens: Tokens) -> None:
    page = Tags(exported(department, tokens("super"))["cover.html"].decode())
    assert not {"script", "iframe", "link", "object", "form", "a", "base"} & {tag for tag, _ in page.tags}
    addresses = [
        str(value) for _tag, one in page.tags for name, value in one.items() if name in {"src", "href"}
    ]
    assert not [one for one in addresses if one.startswith(("http", "//", "javascript"))]
    (csp,) = [one["content"] for tag, one in page.tags if tag == "meta" and "http-equiv" in one]
    assert str(csp).startswith("default-src 'none'")


def test_what_a_person_or_unit_writes_stays_text(department: Department, tokens: Tokens) -> None:
    files = exported(department, tokens("super"), authority=f"Superior Court {ATTACK}")
    page = Tags(files["cover.html"].decode())
    assert ATTACK in page.text
    assert not [one for _tag, one in page.tags if "onerror" in one]
    evil = OpenedRead(
        read="x/1", unit=ATTACK, log_id=b"", sequence=1, leaf=b"", public=b"", proof="", elements={}
    )
    facts = cover_sheet.SheetFacts(
        department=ATTACK,
        number=ATTACK,
        created_us=0,
        facts=((ATTACK, ATTACK),),
        no_manifests=ATTACK,
        zone=UTC,
    )
    page = Tags(cover_sheet.as_html(facts, [evil]))
    assert not [one for tag, one in page.tags if tag == "img" or "onerror" in one]
    assert page.text.count(ATTACK) >= 6


EARLIER_DIGEST = "17a87b6198cae1b073a39facc1b83e055fea836ae1cd4bd2a0a11a6fb02ef8b3"
WORDS_DIGEST = "58f17d1992dd7f1a08ff1709eb87d0ef93d3bd03a197e8a2c6d4c15bdab8426d"


@pytest.mark.parametrize(
    ("version", "words"), [(1, EARLIER_DIGEST), (2, EARLIER_DIGEST), (cover_sheet.VERSION, WORDS_DIGEST)]
)
def test_a_sheet_with_other_words_is_of_another_version(version: int, words: str) -> None:
    """`verify` makes each sheet again, and packages are checked for decades. If this fails, words changed:
    give the sheet another VERSION, keep making earlier versions as before, and add the new digest here.
    """
    read = read_of(replace(Pass(plate="7ABC001", at_us=1_789_000_000_000_000), north_m=9.0))
    contents = {"text": codec.to_bytes(read.text_part()), "place": codec.to_bytes(read.place_part())}
    contents |= {"patch": b"\x89PNG\r\n\x1a\n", "overview": b"\xff\xd8\xff"}
    elements = {name: Opened(name, bytes(32), one) for name, one in contents.items()}
    one = OpenedRead(
        read="x/1", unit="u", log_id=b"", sequence=1, leaf=b"", public=b"", proof="", elements=elements
    )
    unknown = Pass(plate="7ABC00?", at_us=1_789_000_000_000_000, clock=ClockState.UNKNOWN)
    odd = replace(read_of(unknown), demo=True, position=None, jurisdiction="", software="")
    rows = {"text": odd.text_part(), "place": odd.place_part()}
    odd_rows = {name: Opened(name, bytes(32), codec.to_bytes(part)) for name, part in rows.items()}
    digest = hashlib.sha256()
    for closed, absent in ((False, ""), (True, "none")):
        facts = cover_sheet.SheetFacts(
            department="d",
            number="n",
            created_us=1_789_000_000_000_000,
            facts=(("medium", "USB"),),
            no_manifests=absent,
            zone=zone_of("UTC-08:00"),
            version=version,
        )
        reads = [replace(one, closed_log=closed), replace(one, elements=odd_rows, day=20_000)]
        reads.append(replace(one, elements={}))
        digest.update((cover_sheet.as_text(facts, reads) + cover_sheet.as_html(facts, reads)).encode())
    assert (cover_sheet.VERSION, digest.hexdigest()) == (3, words)


def test_only_the_first_words_repeat_the_plate_among_its_other_readings() -> None:
    read = read_of(replace(Pass(plate="7ABC001", at_us=1_789_000_000_000_000), north_m=9.0))
    text = replace(read.text_part(), candidates=(("7ABC001", 0.9), ("7A8C001", 0.1)))
    opened = {"text": Opened("text", bytes(32), codec.to_bytes(text))}
    first, now = (dict(rows_of(opened, version=one))["other readings"] for one in (1, 2))
    assert (first, now) == ("7ABC001 (0.900), 7A8C001 (0.100)", "7A8C001 (0.100)")


def test_a_sheet_that_was_altered_is_found(department: Department, tokens: Tokens) -> None:
    files = exported(department, tokens("super"))
    files["cover.html"] = files["cover.html"].replace(b"7ABC000", b"7ABC0O0")
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    with pytest.raises(PackageError, match="altered"):
        package.check(out.getvalue(), department.desk.log.public)


def test_every_image_has_a_manifest_that_the_library_itself_trusts(
    department: Department, tokens: Tokens
) -> None:
    c2pa = pytest.importorskip("c2pa", reason="the extra c2pa is not installed")
    files = exported(department, tokens("super"))
    trust = {"trust": {"trust_anchors": files["c2pa-ca.pem"].decode()}, "verify": {"verify_trust": True}}
    context = c2pa.Context(c2pa.Settings.from_dict(trust))
    images = sorted(name for name in files if name.endswith((".jpg", ".png")))
    assert len(images) == 4
    for name in images:
        kind = "image/png" if name.endswith(".png") else "image/jpeg"
        sidecar = files[name.rsplit(".", 1)[0] + ".c2pa"]
        reader = c2pa.Reader(kind, io.BytesIO(files[name]), sidecar, context=context)
        assert reader.get_validation_state() == "Trusted"
        active = json.loads(reader.json())["manifests"][json.loads(reader.json())["active_manifest"]]
        assert "thumbnail" not in active
        assert active["title"] == name
        (proof,) = [one["data"] for one in active["assertions"] if one["label"] == PROOF_LABEL]
        prove(proof, files[name])
        altered = bytearray(files[name])
        altered[len(altered) // 2] ^= 1
        other = c2pa.Reader(kind, io.BytesIO(bytes(altered)), sidecar, context=context)
        assert other.get_validation_state() == "Invalid"


def prove(proof: dict[str, str], image: bytes) -> None:
    """Prove from the manifest alone that the unit's leaf commits to the image and is in the unit's log."""
    public = Ed25519PublicKey.from_public_bytes(base64.b64decode(proof["unit_key"]))
    data = base64.b64decode(proof["leaf"])
    leaf = leaves.open_leaf(data, public)
    made = commitment(proof["element"], base64.b64decode(proof["salt"]), image)
    assert leaf.elements[proof["element"]].commitment == made
    assert proof["sha256"] == hashlib.sha256(image).hexdigest()
    place = tlog_proof.parse(proof["tlog_proof"])
    head = open_checkpoint(place.checkpoint, NoteKey(leaves.origin_of(leaves.log_id_of(public)), public))
    merkle.verify_inclusion(leaf.sequence, head.size, merkle.leaf_hash(data), place.path, head.root)


def test_a_manifest_of_another_department_is_not_trusted(
    department: Department, tokens: Tokens, tmp_path: Path
) -> None:
    c2pa = pytest.importorskip("c2pa", reason="the extra c2pa is not installed")
    files = exported(department, tokens("super"))
    other = ManifestAuthority.open(tmp_path / "other", "Elsewhere PD", department.clock.us).certificate
    trust = {"trust": {"trust_anchors": other.decode()}, "verify": {"verify_trust": True}}
    name = next(one for one in sorted(files) if one.endswith((".jpg", ".png")))
    kind = "image/png" if name.endswith(".png") else "image/jpeg"
    reader = c2pa.Reader(
        kind,
        io.BytesIO(files[name]),
        files[name.rsplit(".", 1)[0] + ".c2pa"],
        context=c2pa.Context(c2pa.Settings.from_dict(trust)),
    )
    assert reader.get_validation_state() == "Valid"  # intact, but by an unknown signer


def test_the_authority_stays_the_same_and_its_key_is_private(tmp_path: Path) -> None:
    with capture_logs() as events:
        first = ManifestAuthority.open(tmp_path / "evidence", "Monrovia PD", 1_790_000_000_000_000)
        again = ManifestAuthority.open(tmp_path / "evidence", "Monrovia PD", 1_890_000_000_000_000)
    assert first.certificate == again.certificate
    (event,) = events  # an authority made after a loss is logged
    assert (event["event"], event["where"]) == ("evidence_authority_made", str(tmp_path / "evidence"))
    other = ManifestAuthority.open(tmp_path / "other", "Monrovia PD", 1_790_000_000_000_000)
    (tmp_path / "evidence" / "ca.pem").write_bytes(other.certificate)
    with pytest.raises(HomeError, match="is not the certificate of the key beside it"):
        ManifestAuthority.open(tmp_path / "evidence", "Monrovia PD", 1_790_000_000_000_000)
    assert (tmp_path / "evidence" / "ca.key").stat().st_mode & 0o777 == 0o600
    (tmp_path / "evidence" / "ca.key").unlink()
    with pytest.raises(HomeError, match="is incomplete"):
        ManifestAuthority.open(tmp_path / "evidence", "Monrovia PD", 1_790_000_000_000_000)


def test_a_package_without_images_says_so() -> None:
    maker = package.Maker(
        department="Monrovia PD",
        key=Ed25519PrivateKey.generate(),
        authority=Path("/nowhere"),
        created_us=0,
        zone=UTC,
    )
    data = package.build([], package.PackageOrder(number="26-1", entries=()), maker)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert "no C2PA manifests: the package has no images" in archive.read("cover.html").decode()
        assert not [name for name in archive.namelist() if name.endswith((".c2pa", ".pem"))]


def test_an_image_that_the_library_refuses_leaves_with_its_other_proofs(tmp_path: Path) -> None:
    pytest.importorskip("c2pa", reason="the extra c2pa is not installed")
    key = Ed25519PrivateKey.generate()
    maker = package.Maker(department="Monrovia PD", key=key, authority=tmp_path, created_us=10**15, zone=UTC)
    # an empty image is not a JPEG, which package.check would report, so only the sheet is checked here
    broken = {"patch": Opened(name="patch", salt=bytes(16), content=b"\xff\xd8\xff\xd9")}
    read = OpenedRead(
        read="x/1", unit="car-7", log_id=b"", sequence=1, leaf=b"", public=b"", proof="", elements=broken
    )
    made, why = package.manifests([read], package.PackageOrder(number="26-1", entries=()), maker)
    assert made == {}
    assert "the c2pa library refused" in why
