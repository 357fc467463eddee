"""Which network the unit uses, and whether it is metered: NetworkManager, and a scripted twin."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Protocol

from hw.errors import PartFailedError
from hw.program import find, run

LIMIT_S = 10.0
MOBILE = frozenset({"gsm", "cdma"})  # metered unless NetworkManager says no
_PIECES = re.compile(r"(?<!\\):")  # nmcli -t puts a backslash before a colon in a value


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkState:
    """name: the active connection's, as NetworkManager has it (of a wireless network its own), else None."""

    name: str | None
    metered: bool


class Networks(Protocol):
    """Gives the current network."""

    def look(self) -> NetworkState:
        """The network now. Raises PartFailedError."""


class NmcliNetworks:
    """NetworkManager's nmcli. Raises MissingDriverError if it is missing."""

    def __init__(self, *, search_path: str | None = None) -> None:
        cure = "install NetworkManager, or leave sync.networks empty in the configuration"
        self._program = find("nmcli", cure, search_path)

    def look(self) -> NetworkState:
        """See Networks.look. Of several connections it is the preferred one, which nmcli lists first."""
        for line in self._ask("-f", "NAME,TYPE", "connection", "show", "--active"):
            pieces = [piece.replace("\\:", ":").replace("\\\\", "\\") for piece in _PIECES.split(line)]
            if len(pieces) == 2 and pieces[1] not in {"loopback", "bridge", "tun", "wireguard"}:
                return NetworkState(name=pieces[0], metered=self._metered(*pieces))
        return NetworkState(name=None, metered=False)

    def _metered(self, name: str, kind: str) -> bool:
        said = "".join(self._ask("-f", "connection.metered", "connection", "show", "id", name))
        word = said.rpartition(":")[2].strip()
        return word == "yes" or (kind in MOBILE and word != "no")

    def _ask(self, *words: str) -> list[str]:
        done = run(self._program, "-t", *words, limit_s=LIMIT_S)
        if done.returncode:
            raise PartFailedError(f"nmcli: status {done.returncode}: is NetworkManager running?")
        return done.stdout[:65_536].splitlines()


class ScriptedNetworks:
    """The twin: the network that a test sets."""

    def __init__(self, name: str | None = "depot", *, metered: bool = False) -> None:
        self.name, self.metered = name, metered

    def look(self) -> NetworkState:
        """See Networks.look."""
        return NetworkState(name=self.name, metered=self.metered and self.name is not None)
