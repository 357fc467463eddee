"""What a look at the network promises: nmcli as a stand-in program that prints what NetworkManager does."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from waiting import PATIENCE_S

from hw.errors import HardwareError, MissingDriverError, PartFailedError
from hw.network import Networks, NetworkState, NmcliNetworks, ScriptedNetworks

STAND_IN = """#!{python}
import pathlib, sys
if "--active" in sys.argv:
    print(pathlib.Path("{folder}/active").read_text(), end="")
elif sys.argv[-1] not in pathlib.Path("{folder}/active").read_text().replace(chr(92), ""):
    sys.exit(10)
else:
    print("connection.metered:" + pathlib.Path("{folder}/metered").read_text())
"""
Make = Callable[..., Networks]


def stand_in(folder: Path, active: str, metered: str = "unknown") -> NmcliNetworks:
    (folder / "active").write_text(active)
    (folder / "metered").write_text(metered)
    program = folder / "nmcli"
    program.write_text(STAND_IN.format(python=sys.executable, folder=folder))
    program.chmod(0o755)
    return NmcliNetworks(search_path=str(folder))


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in program may be slow on a busy machine."""
    monkeypatch.setattr("hw.network.LIMIT_S", PATIENCE_S)


@pytest.fixture(params=["driver", "twin"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    def made(name: str | None, *, metered: bool = False) -> Networks:
        if request.param == "twin":
            return ScriptedNetworks(name, metered=metered)
        line = "" if name is None else name.replace(":", r"\:") + ":802-11-wireless\n"
        return stand_in(tmp_path, "lo:loopback\n" + line, "yes" if metered else "no")

    return made


@pytest.mark.parametrize("name", ["depot", "Depot 5 GHz", "yard:north"])
@pytest.mark.parametrize("metered", [True, False])
def test_the_network_is_named_and_whether_it_is_metered(make: Make, name: str, metered: bool) -> None:
    assert make(name, metered=metered).look() == NetworkState(name=name, metered=metered)


def test_no_network_is_none(make: Make) -> None:
    assert make(None).look() == NetworkState(name=None, metered=False)


@pytest.mark.parametrize(("said", "metered"), [("unknown", True), ("no", False), ("yes", True)])
def test_a_mobile_network_is_metered_unless_it_says_no(tmp_path: Path, said: str, metered: bool) -> None:
    assert stand_in(tmp_path, "carrier:gsm\n", said).look() == NetworkState(name="carrier", metered=metered)


def test_a_missing_and_a_failing_nmcli_are_named(tmp_path: Path) -> None:
    with pytest.raises(MissingDriverError, match=r"sync\.networks"):
        NmcliNetworks(search_path=str(tmp_path))
    networks = stand_in(tmp_path, "depot:802-11-wireless\n")
    (tmp_path / "nmcli").write_text(f"#!{sys.executable}\nimport sys\nsys.exit(8)\n")
    with pytest.raises(PartFailedError, match="NetworkManager"):
        networks.look()
    (tmp_path / "nmcli").unlink()
    with pytest.raises(HardwareError):
        networks.look()
