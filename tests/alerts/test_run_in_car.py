"""A whole run of an enrolled unit: a listed vehicle on the page in the car, and at the department."""

from __future__ import annotations

import base64
import json
import re
import signal
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
from at_rest import found_in
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from reader_process import CLIP, TWO_CARS, Running
from sync_twins import DepartmentProcess, bare_home, issue_code
from waiting import PATIENCE_S

from firmware.cli import main
from firmware.custody.opening import open_ledger
from storage import codec
from storage.policy import TRAINING_TOPICS
from storage.read_records import Alert, AlertStepped
from storage.roster import Roster, RosterPerson
from storage.times import HOUR_US, now_us
from storage.verify import verify_home
from sync.department.content.alert_records import StoreAlerts
from sync.department.ground.home import load_ed25519
from sync.department.server.server import Department
from sync.department.units.documents import publish, sign_document
from sync.department.units.hot_lists import Offer, publish_list
from sync.hot_lists.entry import ListEntry
from sync.membership import SyncFolder, page_host
from tests.tools.ports import free_port

pytestmark = pytest.mark.slow
T = TypeVar("T")
SEEN = tuple(str(one["text"]) for one in json.loads((CLIP / "truth.json").read_text())["vehicles"])
PLATE, COVERT = SEEN[0], "0ZZZ000"


def awaited(look: Callable[[], T | None], what: str) -> T:
    """Wait until `look` returns something, and return that."""
    until_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < until_s:
        found = look()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"no {what} in {PATIENCE_S:.0f} s")


def officer(folder: Path) -> RosterPerson:
    """A trained officer, whose SSH key is in the folder."""
    key = Ed25519PrivateKey.generate()
    path = folder / "id_ed25519"
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
    path.chmod(0o600)
    line = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    return RosterPerson(
        user="o.diaz",
        roles=("sworn-officer",),
        organisation="Monrovia PD",
        ssh_keys=(base64.b64decode(line.split()[1]),),
        password=None,
        trained_us=now_us() - HOUR_US,
        topics=tuple(sorted(TRAINING_TOPICS)),
        trainer="super",
        revoked=False,
    )


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put temporary files of every process into the test's folder."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))


@pytest.fixture
def department(tmp_path: Path) -> Iterator[DepartmentProcess]:
    """A department with a running server that wants the clip's first vehicle."""
    home = bare_home(tmp_path / "department")
    made = DepartmentProcess(home)
    made.start()  # before there is a roster, with which it would require a person's access log
    department = Department(home)
    roster = codec.to_bytes(Roster(version=2, demo=False, people=(officer(tmp_path),)))
    command = load_ed25519(home.path / "command.key")
    with department.store.write() as connection:
        publish(connection, "roster", 2, sign_document("roster", roster, command), now_us())
    offer = Offer(
        list_id="doj", issuer="DOJ", source="SVS", agency="", extracted_us=now_us() - HOUR_US, hours=24
    )
    entries = [
        ListEntry(
            plate=PLATE, category="stolen-vehicle", state="", make="KIA", reason="garage", case="26-1042"
        ),
        ListEntry(plate=COVERT, category="stolen-vehicle", state="", recipients=("comm1",)),
    ]
    publish_list(home, department.store, offer, entries, now_us())
    department.close()
    yield made
    made.stop()


@pytest.fixture
def unit(tmp_path: Path, department: DepartmentProcess) -> tuple[Path, int]:
    """An enrolled unit with a page in the car: its home and the page's port."""
    home, port = tmp_path / "unit", free_port()
    assert main(["--home", str(home), "init"]) == 0
    config = home / "config.toml"
    config.write_text(re.sub(r"(?m)^#? ?page_port = .*$", f"page_port = {port}", config.read_text()))
    assert main(["--home", str(home), "enroll", issue_code(department.home, "car-12")]) == 0
    assert main(["--home", str(home), "sync", "now"]) == 0
    return home, port


def laptop_of(
    home: Path, port: int, department: DepartmentProcess, key: Path, capsys: pytest.CaptureFixture[str]
) -> httpx.Client:
    """The laptop's browser after `reader logon`."""
    authority = department.home.authority / "ca.pem"
    unit_id = SyncFolder.of(home).member().unit_id
    words = ["logon", f"https://127.0.0.1:{port}", "--unit", unit_id, "--user", "o.diaz"]
    words += ["--role", "sworn-officer"]
    words += ["--credential", str(key), "--ca", str(authority)]
    capsys.readouterr()

    def logged_on() -> str | None:
        status = main(["--home", str(home), *words])
        said = capsys.readouterr()
        if status:  # not yet
            assert "is the unit's page switched on?" in said.err, said.err
            return None
        assert f"'127.0.0.1 {page_host(unit_id)}'" in said.err, said.err
        return said.out.strip()

    link = awaited(logged_on, "page in the car")
    context = ssl.create_default_context(cafile=str(authority))
    context.check_hostname = False
    client = httpx.Client(verify=context, trust_env=False, timeout=PATIENCE_S)
    number = link.replace(page_host(unit_id), "127.0.0.1")  # as the hosts file does
    assert client.get(number).status_code == 303
    return client


def test_a_listed_vehicle_is_verified_in_the_car_while_the_reader_runs(
    unit: tuple[Path, int],
    department: DepartmentProcess,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Afterwards no file of the unit or the department has a plate in the clear."""
    home, port = unit
    running = Running(home, "--source", str(TWO_CARS))
    try:
        laptop = laptop_of(home, port, department, tmp_path / "id_ed25519", capsys)
        base = f"https://127.0.0.1:{port}/api/alerts"

        def post(path: str, **body: Any) -> dict[str, Any]:
            answer = laptop.post(f"{base}/{number}/{path}", json=body, headers={"X-Alert-Page": "1"})
            assert answer.status_code == 200, answer.text
            return dict(answer.json())

        (one,) = awaited(lambda: laptop.get(base).json()["alerts"], "alert on the page")
        number = one["number"]
        assert (one["says"], one["sounds"], one["next"]) == ("Stolen vehicle", True, "look at the image")
        early = json.dumps(one) + json.dumps(post("view"))
        assert PLATE not in early
        assert "KIA" not in early
        assert laptop.get(f"{base}/{number}/patch").headers["content-type"].startswith("image/")
        compared = post("transcribe", plate=PLATE, state="CA")
        assert all(agrees for _, _, agrees in compared["slots"])
        assert compared["entry"]["make"] == "KIA"
        assert post("answer", fit="yes")["answer"] == "confirmed"
        assert post("clets", practicable=True, text="CLETS 4711")["next"] == "outcome"
        post("close", outcome="stop")
        assert [one for one in laptop.get(base).json()["alerts"] if one["number"] == number] == []
        at_desk = Department(department.home)
        records = StoreAlerts(at_desk.store)
        kinds = awaited(
            lambda: (found := [one.kind for one in records.waiting(())])[6:] and found, "alert at the desk"
        )
        assert kinds.count(Alert.KIND) == 1
        assert kinds.count(AlertStepped.KIND) >= 6  # shown, viewed, transcribed, answered, CLETS, closed
        at_desk.close()
        laptop.close()
    finally:
        status = running.end(signal.SIGTERM)
    assert status == 0
    assert PLATE not in json.dumps(running.lines)
    with open_ledger(home) as ledger:
        assert verify_home(ledger.store.home).ok
    assert main(["--home", str(home), "sync", "now"]) == 0
    assert department.stop() == 0
    assert found_in(tmp_path, (*SEEN, COVERT)) == []  # unit, department, its events, temporary files
