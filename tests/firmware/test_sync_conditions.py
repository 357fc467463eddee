"""When an enrolled unit may sync, depending on its network and power supply."""

from __future__ import annotations

from typing import Any

import pytest

from firmware.fleet import sync_conditions
from firmware.fleet.sync_conditions import ANY, SyncConditions, networks_of
from firmware.settings.config import SyncSettings
from hw.errors import MissingDriverError, PartFailedError
from hw.network import NetworkState, ScriptedNetworks
from hw.power import ScriptedPower, Supply
from sync.schedule import Conditions, Go, Past, decide

SETTINGS = SyncSettings(networks="depot", only_on_mains=True)


class Failing:
    def look(self) -> NetworkState:
        raise PartFailedError("no word")


class FailingPower(ScriptedPower):
    def look(self) -> Supply:
        raise PartFailedError("no word")


OFF, LOW = ScriptedPower(ignition=False), ScriptedPower()
LOW.throttle_word = 1


@pytest.mark.parametrize(
    ("networks", "power", "expected"),
    [
        (ScriptedNetworks("depot"), ScriptedPower(), Conditions(network="depot")),
        (ScriptedNetworks("lte", metered=True), ScriptedPower(), Conditions(network="lte", metered=True)),
        (ScriptedNetworks(None), ScriptedPower(ignition=None), Conditions(network=None)),
        (ScriptedNetworks("depot"), OFF, Conditions(network="depot", on_mains=False)),
        (ScriptedNetworks("depot"), LOW, Conditions(network="depot", on_mains=False)),
        (Failing(), FailingPower(), Conditions(network=None, on_mains=False)),
    ],
)
def test_conditions_are_what_the_parts_say(
    networks: ScriptedNetworks, power: ScriptedPower, expected: Conditions
) -> None:
    assert SyncConditions(networks, power, by_name=True)() == expected


@pytest.mark.parametrize("networks", [None, ScriptedNetworks(None), Failing()])
def test_without_a_named_network_every_try_is_allowed(networks: Any) -> None:
    assert SyncConditions(networks, None)() == Conditions(network=ANY)


def test_the_parts_are_looked_at_every_ten_seconds_only() -> None:
    networks, now = ScriptedNetworks("depot"), [0.0]
    conditions = SyncConditions(networks, None, monotonic=lambda: now[0])
    assert conditions().network == "depot"
    networks.name = "lte"
    now[0] = 9.0
    assert conditions().network == "depot"
    now[0] = 11.0
    assert conditions().network == "lte"


def test_a_unit_syncs_at_the_depot_on_mains_and_nowhere_else() -> None:
    networks, power = ScriptedNetworks("lte"), ScriptedPower()

    def goes() -> bool:
        seen = SyncConditions(networks, power)()
        return isinstance(decide(SETTINGS.schedule(), seen, Past(), now_us=1, alert=False), Go)

    assert not goes()
    networks.name = "depot"
    assert goes()
    power.ignition = False
    assert not goes()


def test_networks_by_name_need_network_manager(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise MissingDriverError("nmcli not found")

    monkeypatch.setattr(sync_conditions, "NmcliNetworks", missing)
    assert networks_of(SyncSettings()) is None
    with pytest.raises(MissingDriverError):
        networks_of(SETTINGS)
