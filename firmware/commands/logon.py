"""`reader logon`: on the patrol laptop, log in to a unit's alert page with your SSH key.

The machine at the address must show the certificate of the unit that you name, whatever the address is: in a
car's network any machine may have that address, and every unit has a certificate of the department. The link
names the unit, so that the browser checks the same certificate.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import ssl
import sys
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

import click
import httpx

from firmware.alerts.sessions import ACTION, subject_of
from firmware.custody.asking import proof_of
from firmware.errors import FirmwareError, UsageError
from storage import access, codec
from storage.envelope import decode, encode
from storage.errors import StorageError
from sync.command_frame import Common, verb
from sync.errors import DONE
from sync.membership import page_host, unit_of_page

CONNECT_S = 10.0


@verb(
    "logon",
    example="reader logon https://192.168.10.2:8467 --unit 6a1a3b7de7135e7e4fe730fa747d291f --user o.diaz "
    "--role sworn-officer --credential ~/.ssh/id_ed25519 --ca department-ca.pem --open",
)
@click.argument("address")
@click.option(
    "--unit",
    default="",
    metavar="UNITID",
    help="The unit's id (department enroll --list); not needed where ADDRESS is https://unit-UNITID.local:PORT.",
)
@click.option("--user", required=True, help="Your name on the roster.")
@click.option(
    "--role", required=True, help="sworn-officer, dispatcher, communications, ccat, ccat-supervisor."
)
@click.option("--credential", type=click.Path(path_type=Path), help="Your SSH key.")
@click.option(
    "--ca",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="The department's CA certificate (PEM), from its administrator.",
)
@click.option("--open", "open_page", is_flag=True, help="Open the page in the browser.")
def logon(
    common: Common,
    *,
    address: str,
    unit: str,
    user: str,
    role: str,
    credential: Path | None,
    ca: Path | None,
    open_page: bool,
) -> int:
    """Log in to the alert page of a unit. Prints a link that opens the page once, within a minute.

    Works without the department: the unit checks your key, role and training against its signed roster.
    """
    parts = _https(address)
    name = named_unit(parts, unit)
    try:
        context = ssl.create_default_context(cafile=None if ca is None else str(ca))
    except ssl.SSLError:
        raise UsageError(f"--ca {ca}: not a PEM certificate") from None
    request = access.Request(
        action=ACTION,
        user=user,
        role=access.normal_role(role),
        purpose=ACTION,
        case_number="",
        subject=subject_of(unit_of_page(name)),
    )
    ticket = _ticket(
        address, name, context, request, lambda given: proof_of(common.home, request, credential, given)
    )
    link = f"https://{name}{f':{parts.port}' if parts.port else ''}/enter?ticket={ticket}"
    if hint := hosts_line(parts.hostname or "", name):
        print(
            f"reader: the browser does not find the unit by its name yet: add the line '{hint}' to this "
            "laptop's hosts file. By the bare address a browser cannot tell the unit from another machine",
            file=sys.stderr,
        )
    if open_page:
        webbrowser.open(link)
        print("the page opens in your browser")
    else:
        print(link)
    return DONE


def _ticket(
    address: str,
    name: str,
    context: ssl.SSLContext,
    request: access.Request,
    prove: Callable[[Any], access.Proof],
) -> str:
    """Answer the unit's challenge with `prove`, for the ticket that opens the page.

    `name`: the name that the unit's certificate must have, whatever the address is. Raises UsageError,
    FirmwareError.
    """
    try:
        with httpx.Client(verify=context, timeout=CONNECT_S, base_url=address, trust_env=False) as client:

            def ask(path: str, body: bytes) -> httpx.Response:
                return client.post(path, content=body, extensions={"sni_hostname": name})

            proof = prove(decode(ask("/logon/challenge", b"").raise_for_status().content))
            answer = ask(
                "/logon", encode({"request": codec.to_plain(request), "proof": codec.to_plain(proof)})
            )
        if answer.status_code != 200:
            refusal = answer.json()
            raise FirmwareError(
                ": ".join(part for part in (refusal.get("clause"), refusal.get("refused")) if part)
            )
        return str(decode(answer.content)["ticket"])
    except httpx.InvalidURL:
        raise _no_address(address) from None
    except httpx.HTTPError as error:
        if "certificate verify failed" in str(error):
            raise FirmwareError(
                f"{address}: this machine does not show the certificate of {name}; you are not logged in. If "
                "this is that unit, give its id and the department's newest CA certificate (--ca)"
            ) from None
        raise FirmwareError(f"{address}: {type(error).__name__} (is the unit's page switched on?)") from None
    except (StorageError, ValueError, KeyError, TypeError, AttributeError):
        raise FirmwareError(f"{address}: the answer is not a unit's") from None


def _no_address(address: str) -> UsageError:
    return UsageError(f"{address}: not an address of the form https://HOST:PORT")


def _https(address: str) -> SplitResult:
    """The parts of an address. Raises UsageError."""
    try:
        parts = urlsplit(address)
        if parts.scheme == "https" and parts.hostname and parts.port != 0:
            return parts
    except ValueError:
        pass
    raise _no_address(address)


def named_unit(parts: SplitResult, unit: str) -> str:
    """The name in the certificate of the unit that the user means. Raises UsageError if nothing names it."""
    by_name = unit_of_page(parts.hostname or "")
    if unit and not re.fullmatch("[0-9a-f]{32}", unit):
        raise UsageError(
            "--unit must be the unit's id, 32 digits of 0-9 and a-f: see department enroll --list"
        )
    if unit and by_name and unit != by_name:
        raise UsageError("--unit and the address name different units")
    if not unit and not by_name:
        raise UsageError(
            "say which unit you mean, because any machine may have this address: --unit UNITID, or its name, "
            "https://unit-UNITID.local:PORT; the id is in department enroll --list"
        )
    return page_host(unit or by_name)


def resolved(host: str) -> frozenset[str]:
    """A host's IP addresses as this laptop resolves them."""
    try:
        found: list[Any] = socket.getaddrinfo(host, None, proto=socket.IPPROTO_TCP)
    except (OSError, UnicodeError):
        return frozenset()
    return frozenset(str(one[4][0]) for one in found)


def hosts_line(host: str, name: str) -> str:
    """The line for the hosts file with which the browser finds the unit; empty if it already does."""
    numbers = resolved(host)
    if resolved(name) & numbers or not numbers:
        return ""
    try:
        return f"{ipaddress.ip_address(host)} {name}"
    except ValueError:
        return f"{min(numbers)} {name}"
