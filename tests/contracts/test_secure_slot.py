"""What every effaceable slot promises: file, loopback, and a TPM (swtpm, where it is installed)."""

import functools
import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from custody_twins import SteppedTime, add_reads, check
from tpm_twin import software_tpm

from hw.errors import MissingDriverError, SlotFailedError
from hw.secure_slot import SecureSlot, open_slot
from hw.secure_slot_tpm import INDEXES_AT_ONCE, slots_in_chip
from hw.tpm import Tpm
from storage.errors import KeyLostError
from storage.home import Home
from storage.ledger import Ledger
from storage.times import DAY_US

Open = Callable[[], SecureSlot]


@pytest.fixture(scope="module")
def chip(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A software TPM of this test run's own; its TCTI."""
    with software_tpm(tmp_path_factory.mktemp("tpm")) as tcti:
        yield tcti


@pytest.fixture(params=["file", "loopback", "tpm"])
def slot(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    if request.param == "tpm":
        tcti = request.getfixturevalue("chip")
        index = 0x1500AB1 + abs(hash(request.node.name)) % 4096
        return lambda: open_slot(f"tpm:0x{index:07x}@{tcti}", tmp_path)
    uri = {"file": "file:slot", "loopback": f"loopback:{tmp_path}/chip"}[request.param]
    return lambda: open_slot(uri, tmp_path)


def test_a_new_slot_is_empty(slot: Open) -> None:
    assert slot().read() is None


def test_what_is_written_is_read_back_by_the_next_process(slot: Open) -> None:
    slot().write(b"\x00one" * 30)
    assert slot().read() == b"\x00one" * 30


def test_a_write_replaces_the_whole_content(slot: Open) -> None:
    one = slot()
    one.write(b"a long content that must be gone" * 3)
    one.write(b"short")
    assert one.read() == b"short"
    assert slot().read() == b"short"


def test_too_much_is_refused_and_the_old_content_stays(slot: Open) -> None:
    one = slot()
    one.write(b"kept")
    with pytest.raises(SlotFailedError):
        one.write(bytes(600))
    assert one.read() == b"kept"


def test_a_slot_names_itself_and_its_promise(slot: Open, tmp_path: Path) -> None:
    one = slot()
    one.write(b"x")
    assert open_slot(one.uri, tmp_path).read() == b"x"
    assert len(one.promise) > 20


def test_a_ledger_on_this_slot_purges_and_opens_again(slot: Open, tmp_path: Path) -> None:
    """The keys of a year, one turn of the slot, and the next start."""
    clock = SteppedTime()
    if slot().uri.startswith("file:"):  # such a slot lies in the store, and `verify` looks for it there
        slot = functools.partial(open_slot, "file:slot", Home(tmp_path / "home").folder)
    ledger = Ledger.create(tmp_path / "home", slot(), clock, boot=clock.boot)
    old = add_reads(ledger, clock, 1)[0]
    for _ in range(365):
        clock.run(DAY_US)
        ledger.store.time.now()
    ledger.store.end_running([ledger.store.leaf(old).epoch])
    assert ledger.apply_retention(by="test") is not None
    kept = add_reads(ledger, clock, 1)[0]
    ledger.close()
    with Ledger.open(tmp_path / "home", slot(), clock, boot=clock.boot) as again:
        assert again.read(kept).text
        with pytest.raises(KeyLostError):
            again.read(old)
    report = check(tmp_path / "home", slot())
    assert report.ok, report.findings


def test_a_chip_lists_the_slots_in_it_and_no_index_of_another_program(tmp_path: Path) -> None:
    """Of another program's not even a read is tried: a wrong password there may lock it."""
    with software_tpm(tmp_path) as tcti:
        uris = [f"tpm:0x{0x1500AB0 + number:07x}@{tcti}" for number in range(INDEXES_AT_ONCE + 2)]
        for uri in uris:
            open_slot(uri, tmp_path).write(b"content")
        tpm = Tpm(tcti)
        tss = tpm.tss
        with tpm.opened() as chip:
            for index, size in ((0x1500A00, 64), (0x1600000, 128)):
                public = tss.TPMS_NV_PUBLIC(
                    nvIndex=index,
                    nameAlg=tss.TPM2_ALG.SHA256,
                    attributes=tss.TPMA_NV.OWNERREAD | tss.TPMA_NV.OWNERWRITE,
                    dataSize=size,
                )
                chip.nv_define_space(b"password", tss.TPM2B_NV_PUBLIC(nvPublic=public))
        assert slots_in_chip(tcti) == uris


def test_a_machine_without_a_chip_says_so(tmp_path: Path) -> None:
    with pytest.raises(MissingDriverError):
        open_slot("tpm:0x1500ab1@device:/dev/none", tmp_path).read()


@pytest.mark.parametrize("name", ["", "1", "0x1500", "0x81000001", "0x1500ab1@", "slot"])
def test_a_name_that_is_not_an_index_is_refused(tmp_path: Path, name: str) -> None:
    if importlib.util.find_spec("tpm2_pytss") is None:
        pytest.skip("tpm2-pytss not installed")
    with pytest.raises(SlotFailedError):
        open_slot(f"tpm:{name}", tmp_path)
