"""The conditions of a sync: which network, whether it is metered, and whether the unit has mains power.

Promise: if the settings name no network, a machine that cannot name its network still syncs.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from firmware.settings.config import SyncSettings
from hw.errors import HardwareError, MissingDriverError
from hw.network import Networks, NmcliNetworks
from hw.power import PowerSource
from sync.schedule import Conditions

LOOK_EVERY_S = 10.0
ANY = "any"  # in place of the network name if the machine does not know it and need not


def networks_of(settings: SyncSettings) -> Networks | None:
    """NetworkManager; None if it is missing and the settings name no network.

    Raises MissingDriverError.
    """
    try:
        return NmcliNetworks()
    except MissingDriverError:
        if settings.networks.strip():
            raise
        return None


class SyncConditions:
    """A callable that measures only every few seconds, since the schedule calls it every second."""

    def __init__(
        self,
        networks: Networks | None,
        power: PowerSource | None,
        *,
        by_name: bool = False,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._networks, self._power, self._monotonic = networks, power, monotonic
        self._unknown = None if by_name else ANY
        self._looked_s = float("-inf")
        self._seen = Conditions()

    def __call__(self) -> Conditions:
        """The conditions now. A supply that does not answer counts as off."""
        now_s = self._monotonic()
        if now_s - self._looked_s >= LOOK_EVERY_S:
            self._looked_s, self._seen = now_s, self._look()
        return self._seen

    def _look(self) -> Conditions:
        name, metered = self._network()
        return Conditions(network=name, metered=metered, on_mains=self._on_mains())

    def _network(self) -> tuple[str | None, bool]:
        if self._networks is None:
            return self._unknown, False
        try:
            state = self._networks.look()
        except HardwareError:
            return self._unknown, False
        return state.name or self._unknown, state.metered

    def _on_mains(self) -> bool:
        """Whether the voltage is sufficient and the ignition, if there is one, is on."""
        if self._power is None:
            return True
        try:
            supply = self._power.look()
        except HardwareError:
            return False
        return supply.ignition is not False and not supply.undervoltage
