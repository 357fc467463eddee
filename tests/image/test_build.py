"""The build's own parts: locks, lists, the card's partition table, the inventory, power cuts of a card."""

from __future__ import annotations

import json
import random
import re
import socket
import struct
from pathlib import Path

import pytest
from alpr_image import debs, pack, sbom, wheels
from alpr_image.bench.nbd import SECTOR, Card, CardServer, Cutter, cards_after
from alpr_image.boot import BoardProfile, rpi_boot_files, unsigned
from alpr_image.image import BOARDS
from alpr_image.initramfs import module_closure
from alpr_image.keys import bench_keys
from alpr_image.workshop import PROJECT, BuildError, Workshop, listed, mirrors
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.image.conftest import IMAGE_BUILD
from tests.tools.rehearsal import as_shown

GPT_ENTRY = re.compile(r"start=(\d+), size=(\d+), type=([0-9A-F-]{36}), uuid=([0-9a-f-]{36}), name=(\w+)")


@pytest.mark.parametrize("board", BOARDS)
def test_every_listed_package_is_in_the_lock_with_a_digest(board: str) -> None:
    lines = debs.lock_of(board).read_text().splitlines()
    assert all(re.fullmatch(r"[a-z0-9.+-]+ \S+ (arm64|all) [0-9a-f]{64}", line) for line in lines)
    locked = {line.split()[0] for line in lines}
    assert set(listed("root.list")) | set(listed("plain.list")) <= locked


@pytest.mark.parametrize("board", BOARDS)
def test_no_image_has_a_compiler_or_a_way_to_fetch_packages(board: str) -> None:
    locked = {line.split()[0] for line in debs.lock_of(board).read_text().splitlines()}
    barred = re.compile(r"(gcc-\d+$|cpp|g\+\+|clang|make$|binutils|apt$|aptitude|wget$|curl$)")
    assert [name for name in locked if barred.match(name)] == []


def test_every_library_of_the_unit_is_locked_with_digests() -> None:
    text = wheels.LOCK.read_text()
    pinned = re.findall(r"^([a-z0-9-]+)==", text, re.MULTILINE)
    assert {"ai-edge-litert", "cryptography", "numpy", "cbor2"} <= set(pinned)
    blocks = re.split(r"^(?=[a-z0-9-]+==)", text, flags=re.MULTILINE)[1:]
    assert all("--hash=sha256:" in block for block in blocks)
    assert not {"pytest", "mypy", "ruff", "tensorflow-cpu", "sqlalchemy"} & set(pinned)


def test_a_unit_gets_the_versions_that_the_tests_run_on() -> None:
    tested = set(re.findall(r"^[a-z0-9-]+==\S+", (PROJECT / "requirements.lock").read_text(), re.MULTILINE))
    unit = set(re.findall(r"^[a-z0-9-]+==\S+", wheels.LOCK.read_text(), re.MULTILINE))
    assert unit - tested == set()


@pytest.fixture
def pi_packages(tmp_path: Path) -> tuple[Path, Path]:
    """(firmware, kernel) in Debian's layout, unpacked."""
    firmware, kernel = tmp_path / "firmware", tmp_path / "kernel"
    trees = kernel / "usr/lib/linux-image-6.12-arm64/broadcom"
    for folder in (firmware / "usr/lib/raspi-firmware", kernel / "boot", trees):
        folder.mkdir(parents=True)
    for path in (
        firmware / "usr/lib/raspi-firmware/start4.elf",
        firmware / "usr/lib/raspi-firmware/fixup4.dat",
        kernel / "boot/vmlinuz-6.12-arm64",
        trees / "bcm2711-rpi-4-b.dtb",
        trees / "bcm2712-rpi-5-b.dtb",
    ):
        path.write_bytes(path.name.encode())
    return firmware, kernel


def test_slot_of_a_pi_has_what_its_loader_reads_and_no_login_on_its_command_line(
    tmp_path: Path, pi_packages: tuple[Path, Path]
) -> None:
    firmware, kernel = pi_packages
    initramfs = tmp_path / "initramfs"
    initramfs.write_bytes(b"")
    shop, board = Workshop(tmp_path), BoardProfile.load("rpi")
    files = rpi_boot_files(shop, board, firmware=firmware, kernel=kernel, initramfs=initramfs)
    named = set(re.findall(r"^(?:kernel|initramfs)[= ](\S+)", files["config.txt"].read_text(), re.MULTILINE))
    assert named <= set(files)
    assert {"start4.elf", "fixup4.dat", "bcm2711-rpi-4-b.dtb", "bcm2712-rpi-5-b.dtb"} <= set(files)
    assert "systemd.getty_auto=no" in files["cmdline.txt"].read_text()
    (firmware / "usr/lib/raspi-firmware/fixup4.dat").unlink()
    with pytest.raises(BuildError, match=r"without fixup4\.dat"):
        rpi_boot_files(shop, board, firmware=firmware, kernel=kernel, initramfs=initramfs)


class NoOpenssl(Workshop):
    """Writes a certificate in place of openssl."""

    def tool(self, *words: str | Path) -> str:
        Path(words[-1]).write_bytes(b"a certificate")
        return ""


def test_keys_of_a_bench_are_made_once_and_those_of_a_release_never(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ALPR_IMAGE_KEYS", raising=False)
    shop = NoOpenssl(tmp_path)
    folder = bench_keys(shop).path
    made = {one.name: one.read_bytes() for one in folder.iterdir()}
    assert {one.stat().st_mode & 0o777 for one in folder.glob("*.key")} == {0o600}
    bench_keys(shop)
    assert {one.name: one.read_bytes() for one in folder.iterdir()} == made
    release = tmp_path / "release"
    release.mkdir()
    monkeypatch.setenv("ALPR_IMAGE_KEYS", str(release))
    assert bench_keys(shop).path == release
    assert not list(release.iterdir())


def test_drift_of_the_suite_is_named_package_by_package(tmp_path: Path) -> None:
    deb = tmp_path / "tool_1%3a2.0-1_arm64.deb"
    deb.write_bytes(b"one")
    debs.write_lock([deb], tmp_path / "lock")
    debs.check_lock([deb], tmp_path / "lock")
    deb.write_bytes(b"two")
    with pytest.raises(
        BuildError, match=r"(?s)make image-lock.*\+ tool 1:2\.0-1 arm64|- tool 1:2\.0-1 arm64"
    ):
        debs.check_lock([deb], tmp_path / "lock")


@pytest.mark.parametrize(
    "text",
    [
        "deb http://mirror.example/debian x main\ndeb http://mirror.example/debian-security s main\n",
        "URIs: http://mirror.example/debian/\nSuites: x\n\nURIs: http://mirror.example/debian-security\n",
    ],
    ids=["one line", "deb822"],
)
def test_mirrors_are_those_of_the_machine_that_builds(
    tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ALPR_MIRROR", raising=False)
    monkeypatch.delenv("ALPR_MIRROR_SECURITY", raising=False)
    (tmp_path / "sources.list").write_text(text)
    assert mirrors(tmp_path) == ("http://mirror.example/debian", "http://mirror.example/debian-security")


def test_machine_without_a_mirror_says_what_to_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ALPR_MIRROR", raising=False)
    with pytest.raises(BuildError, match="ALPR_MIRROR"):
        mirrors(tmp_path)


def test_no_mirror_is_named_in_the_image_s_files() -> None:
    for path in IMAGE_BUILD.rglob("*"):
        if path.is_file() and path.suffix in {".py", ".toml", ".list", ".lock", ".in"}:
            assert not re.search(r"https?://(deb|archive|security)\.", path.read_text()), path


def test_partitions_do_not_overlap_and_are_where_the_writer_puts_them() -> None:
    entries = GPT_ENTRY.findall(pack.table())
    assert [one[4] for one in entries] == ["bootconfig", "boot_a", "boot_b", "system_a", "system_b"]
    end = pack.FIRST_MIB * 2048
    for start, size, _, _, name in entries:
        assert int(start) == end == pack.partition_start_mib(name) * 2048
        end = int(start) + int(size)


def test_initramfs_knows_the_boot_partitions_by_the_numbers_that_the_table_gives() -> None:
    entries = {one[4]: one[3] for one in GPT_ENTRY.findall(pack.table())}
    text = (IMAGE_BUILD / "initramfs/init").read_text()
    assert f"{entries['boot_a']}) slot=A" in text
    assert f"{entries['boot_b']}) slot=B" in text


def test_system_slots_can_never_be_taken_for_the_data_partition() -> None:
    definition = (IMAGE_BUILD / "image/usr/lib/repart.d/50-persistent.conf").read_text()
    assert "Type=linux-generic" in definition
    assert "0FC63DAF-8483-4772-8E79-3D69D8477DE4" not in pack.table().upper()


def test_modules_come_in_the_order_of_their_needs(tmp_path: Path) -> None:
    needs = "k/a.ko.xz: k/b.ko.xz\nk/b.ko.xz: k/c-d.ko.xz\nk/c-d.ko.xz:\nk/e.ko.xz:\n"
    (tmp_path / "modules.dep").write_text(needs)
    (tmp_path / "modules.softdep").write_text("# x\nsoftdep a pre: some-name f post: g\n")
    (tmp_path / "modules.alias").write_text("# x\nalias some-name e\nalias other b\n")
    (tmp_path / "modules.builtin").write_text("kernel/f.ko\nkernel/z.ko\n")
    order = [one.name for one in module_closure(tmp_path, ["a", "z"])]
    assert order == ["e.ko.xz", "c-d.ko.xz", "b.ko.xz", "a.ko.xz"]
    with pytest.raises(BuildError, match="no module nothing"):
        module_closure(tmp_path, ["nothing"])


def test_inventory_names_every_component_and_is_the_same_twice(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "var/lib/dpkg").mkdir(parents=True)
    status = "Package: libx\nStatus: install ok installed\nVersion: 1:2+b1\nArchitecture: arm64\n"
    (tree / "var/lib/dpkg/status").write_text(status)
    (tree / "usr/share/doc/libx").mkdir(parents=True)
    (tree / "usr/share/doc/libx/copyright").write_text("Files: *\nLicense: GPL-2+\n")
    info = tree / "py/thing-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: Thing\nVersion: 1.0\nLicense-Expression: MIT\n"
    )
    (tree / "py/net.tflite").write_bytes(b"net")
    found = [*sbom.debian(tree), *sbom.python(tree / "py"), *sbom.models(tree / "py")]
    for out in (tmp_path / "a", tmp_path / "b"):
        out.mkdir()
        sbom.write(found, name="alpr-virt", version="1", out=out)
    assert (tmp_path / "a/bom.cdx.json").read_bytes() == (tmp_path / "b/bom.cdx.json").read_bytes()
    bom = json.loads((tmp_path / "a/bom.cdx.json").read_text())
    assert (bom["bomFormat"], bom["specVersion"]) == ("CycloneDX", "1.6")
    named = {one["purl"]: [each["license"]["name"] for each in one["licenses"]] for one in bom["components"]}
    assert named["pkg:deb/debian/libx@1%3A2%2Bb1?arch=arm64&distro=trixie"] == ["GPL-2+"]
    assert named["pkg:pypi/thing@1.0"] == ["MIT"]
    assert len({one["bom-ref"] for one in bom["components"]}) == 3


@pytest.mark.parametrize("name", ["virt", "rpi"])
def test_board_is_described_by_one_file(name: str) -> None:
    board = BoardProfile.load(name)
    assert board.name == name
    assert {"erofs", "dm_verity", "overlay"} <= set(board.modules)


# -- a card whose power is cut


@settings(max_examples=60, deadline=None)
@given(
    orders=st.lists(
        st.one_of(
            st.tuples(st.just("write"), st.integers(0, 60), st.integers(1, 4), st.booleans()),
            st.tuples(st.just("flush"), st.just(0), st.just(0), st.just(False)),
        ),
        max_size=40,
    ),
    seed=st.integers(0, 1 << 30),
)
def test_cut_card_keeps_all_that_was_flushed_and_invents_nothing(
    tmp_path_factory: pytest.TempPathFactory, orders: list[tuple[str, int, int, bool]], seed: int
) -> None:
    folder = tmp_path_factory.mktemp("card")
    path, out = folder / "card", folder / "cut"
    for one in (path, out):
        one.write_bytes(bytes(64 * SECTOR))
    card = Card(path, keep=True)
    wanted: list[tuple[list[bytes], list[bytes]]] = []
    durable, newest = [bytes(SECTOR)] * 64, [bytes(SECTOR)] * 64
    for number, (kind, at, count, through) in enumerate(orders, start=1):
        if kind == "flush":
            card.flush()
            durable = list(newest)
            continue
        data = struct.pack(">I", number) * (SECTOR // 4)
        card.write(at * SECTOR, data * count, through=through)
        for sector in range(at, min(at + count, 64)):
            newest[sector] = data
            if through:
                durable[sector] = data
        card.cut(random.Random(seed + number))
        wanted.append((list(durable), list(newest)))
    assert card.read(0, 64 * SECTOR) == b"".join(newest)
    for number, _ in enumerate(cards_after(out, card.durable, card.cuts)):
        after = [out.read_bytes()[at : at + SECTOR] for at in range(0, 64 * SECTOR, SECTOR)]
        flushed, held = wanted[number]
        assert all(after[sector] in {flushed[sector], held[sector]} for sector in range(64))
    card.close()


def test_power_fails_in_the_middle_of_writes_as_often_as_asked(tmp_path: Path) -> None:
    path = tmp_path / "card"
    path.write_bytes(bytes(8 * SECTOR))
    card = Card(path, keep=True)
    card.write(0, b"a" * SECTOR, through=False)
    assert card.cuts == []
    card.arm(Cutter(random.Random(1), count=3, every=2, apart_s=0))
    for number in range(40):
        card.write(SECTOR * (number % 8), bytes([number]) * SECTOR, through=False)
    assert len(card.cuts) == 3
    assert all(len(cut.landed) + cut.lost for cut in card.cuts)
    card.close()


@given(flushed=st.sets(st.integers(0, 15)), written=st.sets(st.integers(0, 15)), seed=st.integers(0, 1 << 32))
def test_power_that_fails_for_good_loses_what_was_not_flushed_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, flushed: set[int], written: set[int], seed: int
) -> None:
    path = tmp_path_factory.mktemp("failed") / "card"
    path.write_bytes(bytes(16 * SECTOR))
    card = Card(path)
    card.watch(range(4 * SECTOR, 8 * SECTOR))
    for sector in flushed:
        card.write(sector * SECTOR, b"a" * SECTOR, through=False)
    card.flush()
    for sector in written:
        card.write(sector * SECTOR, b"b" * SECTOR, through=False)
    lost = card.fail(random.Random(seed)).lost
    left = [path.read_bytes()[at : at + 1] for at in range(0, 16 * SECTOR, SECTOR)]
    before = [b"a" if sector in flushed else b"\0" for sector in range(16)]
    assert [one for sector, one in enumerate(left) if sector not in written] == [
        one for sector, one in enumerate(before) if sector not in written
    ]
    assert sum(left[sector] != b"b" for sector in written) == lost
    assert all(left[sector] in {b"b", before[sector]} for sector in written)
    assert card.unflushed == 0
    assert card.read(0, 16 * SECTOR) == path.read_bytes()
    assert card.watched == SECTOR * sum(4 <= sector < 8 for sector in [*flushed, *written])
    card.close()


def test_card_is_served_as_the_protocol_says(tmp_path: Path) -> None:
    path, address = tmp_path / "card", tmp_path / "socket"
    path.write_bytes(bytes(1 << 16))
    card = Card(path)
    server = CardServer(card, address)
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(str(address))
        assert line.recv(18) == b"NBDMAGICIHAVEOPT\x00\x03"
        line.sendall(struct.pack(">I8sII", 3, b"IHAVEOPT", 1, 0))
        assert struct.unpack(">QH", line.recv(10))[0] == 1 << 16
        data = b"A" * 1024
        line.sendall(struct.pack(">IHHQQI", 0x25609513, 0, 1, 7, 4096, len(data)) + data)
        assert struct.unpack(">IIQ", line.recv(16)) == (0x67446698, 0, 7)
        assert (card.unflushed, path.read_bytes()[4096:5120]) == (2, bytes(1024))
        line.sendall(struct.pack(">IHHQQI", 0x25609513, 0, 3, 8, 0, 0))
        assert struct.unpack(">IIQ", line.recv(16)) == (0x67446698, 0, 8)
        assert (card.unflushed, path.read_bytes()[4096:5120]) == (0, data)
        line.sendall(struct.pack(">IHHQQI", 0x25609513, 0, 0, 9, 4096, 512))
        answer = b""
        while len(answer) < 16 + 512:
            answer += line.recv(4096)
        assert answer[16:] == data[:512]
        line.sendall(struct.pack(">IHHQQI", 0x25609513, 0, 2, 10, 0, 0))
    server.drained()
    server.close()
    card.close()


def test_a_transcript_shows_the_last_state_of_a_redrawn_line_and_no_code() -> None:
    code = "ALPR1-" + "K7Q5D3HB" * 12
    seen = (
        f"\r\nreader-1> enroll {code[:50]}\rreader-1> {code[45:90]}\x1b[K\rreader-1> {code[60:]}\r\n"
        "joining\r\nXXXXXXXXXXXXXXXXXXXXXXXX\r\ncar-12> status\r\nalarms       none\r\n"
    )
    assert as_shown(seen) == (
        "\nreader-1> enroll CODE\njoining\nXXXXXXXXXXXXXXXXXXXXXXXX\ncar-12> status\nalarms       none\n\n"
    )


def pe_file(body: bytes, certificates: bytes) -> bytes:
    """A PE32+ file: the parts of its header that signing changes, then body and certificates."""
    header = bytearray(0x200)
    header[0x3C:0x40] = struct.pack("<I", 0x80)
    optional = 0x80 + 24
    header[optional : optional + 2] = b"\x0b\x02"
    if certificates:
        header[optional + 64 : optional + 68] = struct.pack("<I", 12345)
        at = len(header) + len(body)
        header[optional + 144 : optional + 152] = struct.pack("<II", at, len(certificates))
    return bytes(header) + body + certificates


@given(body=st.binary(min_size=1, max_size=99), first=st.binary(min_size=1), second=st.binary(min_size=1))
def test_two_signatures_over_one_boot_file_leave_one_digest(body: bytes, first: bytes, second: bytes) -> None:
    plain = unsigned(pe_file(body, b""))
    assert unsigned(pe_file(body, first)) == unsigned(pe_file(body, second)) == plain
    changed = bytearray(pe_file(body, first))
    changed[0x200] ^= 1
    assert unsigned(bytes(changed)) != plain
    with pytest.raises(BuildError, match="not a PE32"):
        unsigned(bytes(0x200))
