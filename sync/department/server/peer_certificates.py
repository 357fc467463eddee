"""When the certificates of the key service and the witnesses end, for the calendar. Asked once an hour.

A command that runs beside the server asks when it first needs them. Their offices renew them; if one forgets,
no search of the department works from that day on.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from storage.times import MINUTE_US, SECOND_US
from sync.department.content.key_remote import address_of
from sync.department.desk.owed import Ending, ending_at
from sync.department.ground.home import DepartmentHome
from sync.department.ground.tls import client_context
from sync.errors import InvalidInputError, LackingError
from sync.root_file import Root

WAIT_S = 2.5
CURE = "the office that runs it renews the two files of its certificate; it takes them without a restart"


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A server of another office: its kind, its address, and `ca` (PEM) if its authority is not public."""

    what: str
    url: str
    ca: str = ""
    command: str


def peers_of(home: DepartmentHome, root: Root | None) -> list[Peer]:
    """The key service, and the witnesses of a root, as far as their addresses have a certificate."""
    found = []
    try:
        keys = address_of(home)
    except InvalidInputError:
        keys = None  # other code reports what is wrong with it
    if keys is not None:
        found.append(
            Peer(what="key service", url=keys.url, ca=keys.ca, command="department keys serve --certificate")
        )
    command = "department witness serve --certificate"
    found += [
        Peer(what=f"witness {one.keys[0].partition('+')[0]}", url=one.url, command=command)
        for one in (root.witnesses if root is not None else ())
        if one.url.startswith("https://")
    ]
    return found


def shown_by(peer: Peer, *, approved: bool = False) -> tuple[int, int] | None:
    """(from, to) of the certificate that it shows now, in UTC microseconds; None if it shows no valid one."""
    parts = urlsplit(peer.url)
    try:
        context = client_context(peer.ca, approved=approved)
        with (
            socket.create_connection((parts.hostname or "", parts.port or 443), timeout=WAIT_S) as plain,
            context.wrap_socket(plain, server_hostname=parts.hostname) as held,
        ):
            shown = held.getpeercert() or {}
    except (OSError, ValueError, LackingError):  # an SSLError is an OSError
        return None
    if "notBefore" not in shown or "notAfter" not in shown:
        return None
    first, last = (ssl.cert_time_to_seconds(str(shown[name])) for name in ("notBefore", "notAfter"))
    return first * SECOND_US, last * SECOND_US


class PeerCertificates:
    """The ends of certificates as last asked. Thread-safe: while a thread asks, others get the last
    answer."""

    def __init__(
        self, peers: Callable[[], Sequence[Peer]], look: Callable[[Peer], tuple[int, int] | None]
    ) -> None:
        self._peers, self._look = peers, look
        self._asking = threading.Lock()
        self._found: list[Ending] | None = None

    def ask(self) -> None:
        """Ask each peer. An absent one costs WAIT_S."""
        if self._asking.acquire(blocking=False):
            try:
                self._found = [made for one in self._peers() if (made := self._end_of(one)) is not None]
            finally:
                self._asking.release()

    def ending(self) -> list[Ending]:
        """The end of each certificate whose server answered when last asked."""
        if self._found is None:
            self.ask()
        return list(self._found or ())

    def _end_of(self, peer: Peer) -> Ending | None:
        shown = self._look(peer)
        if shown is None:
            return None
        name = f"the certificate of the {peer.what}"
        made = ending_at("certificate", "463.5", peer.what, shown[1], name, CURE, peer.command)
        # a program renews one of 90 days a month ahead, so only what it missed is announced
        return replace(made, lasts_min=(shown[1] - shown[0]) // MINUTE_US)
