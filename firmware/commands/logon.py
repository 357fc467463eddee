"""`reader logon`: on the patrol laptop, log on to a unit's alert page with your SSH key."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import sys
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import click
import httpx

from firmware.alerts.sessions import ACTION
from firmware.custody.asking import proof_of
from firmware.errors import FirmwareError, UsageError
from storage import access, codec
from storage.envelope import decode, encode
from sync.command_frame import Common, verb
from sync.errors import DONE

CONNECT_S = 10.0


@verb(
    "logon",
    example="reader logon https://192.168.10.2:8467 --user o.diaz --role sworn-officer "
    "--credential ~/.ssh/id_ed25519 --ca department-ca.pem --open",
)
@click.argument("address")
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
    user: str,
    role: str,
    credential: Path | None,
    ca: Path | None,
    open_page: bool,
) -> int:
    """Log on to the alert page of a unit. Prints a link that opens the page once, within a minute.

    Works without the department: the unit checks your key, role and training against its signed roster.
    """
    try:
        context = ssl.create_default_context(cafile=None if ca is None else str(ca))
    except ssl.SSLError:
        raise UsageError(f"--ca {ca}: not a PEM certificate") from None
    context.check_hostname = not _is_number(address)  # no certificate names an address in a car
    request = access.Request(
        action=ACTION,
        user=user,
        role=access.normal_role(role),
        purpose=ACTION,
        case_number="",
        subject="alert page",
    )
    try:
        with httpx.Client(verify=context, timeout=CONNECT_S, base_url=address, trust_env=False) as client:
            given = decode(client.post("/logon/challenge", content=b"").raise_for_status().content)
            proof = proof_of(common.home, request, credential, given)
            body = {
                "request": codec.to_plain(request),
                "proof": None if proof is None else codec.to_plain(proof),
            }
            answer = client.post("/logon", content=encode(body))
            name = named_by(answer)
    except (httpx.InvalidURL, httpx.UnsupportedProtocol):
        raise UsageError(f"{address}: not an address of the form https://HOST:PORT") from None
    except httpx.HTTPError as error:
        raise FirmwareError(f"{address}: {type(error).__name__} (is the unit's page switched on?)") from None
    if answer.status_code != 200:
        said = answer.json()
        raise FirmwareError(": ".join(part for part in (said.get("clause"), said.get("refused")) if part))
    by_name = address_by_name(address, name, resolved)
    link = f"{(by_name or address).rstrip('/')}/enter?ticket={decode(answer.content)['ticket']}"
    if not by_name and name and _is_number(address):
        line = f"{urlsplit(address).hostname} {name}"
        print(
            f"reader: the browser will warn: the unit's certificate is for {name}. Add the line '{line}' to "
            "this laptop's hosts file, and the next logon opens the page by that name",
            file=sys.stderr,
        )
    if open_page:
        webbrowser.open(link)
        print("the page opens in your browser")
    else:
        print(link)
    return DONE


def named_by(answer: httpx.Response) -> str:
    """The name in the certificate of the unit that answered, or empty."""
    served: ssl.SSLSocket = answer.extensions["network_stream"].get_extra_info("ssl_object")
    shown: Any = (served.getpeercert() or {}).get("subjectAltName", ())
    return next((str(name) for kind, name in shown if kind == "DNS"), "")


def resolved(name: str) -> str:
    """The number of a name as this laptop knows it, or empty."""
    try:
        return socket.gethostbyname(name)
    except OSError:
        return ""


def address_by_name(address: str, name: str, number_of: Callable[[str], str]) -> str:
    """The page's address by the certificate's name, where this laptop knows it for the same machine."""
    parts = urlsplit(address)
    if not name or not _is_number(address) or number_of(name) != parts.hostname:
        return ""
    return urlunsplit(parts._replace(netloc=f"{name}:{parts.port}" if parts.port else name))


def _is_number(address: str) -> bool:
    """Whether an address names its host by number."""
    try:
        ipaddress.ip_address(urlsplit(address).hostname or "")
    except ValueError:
        return False
    return True
