"""Floods a server on this machine: bare connections, silent TLS clients, logins. Loopback and counts only.

python tests/twins/flood.py --port 8463 --bare 10000 --seconds 60
python tests/twins/flood.py --port 8464 --silent 1000 --logons 1000
"""

from __future__ import annotations

import argparse
import contextlib
import resource
import socket
import ssl
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
from waiting import PATIENCE_S

LOOPBACK = "127.0.0.1"
MOST = 20_000


def _demand_loopback(host: str, count: int) -> None:
    if host != LOOPBACK or not 0 <= count <= MOST:
        sys.exit(f"this floods {LOOPBACK} alone, with at most {MOST} at once")


@contextlib.contextmanager
def bare_connections(port: int, count: int, host: str = LOOPBACK) -> Iterator[int]:
    """Hold this many TCP connections that send nothing. Returns how many opened."""
    _demand_loopback(host, count)
    held: list[socket.socket] = []
    try:
        for _ in range(count):
            try:
                held.append(socket.create_connection((host, port), PATIENCE_S))
            except OSError:
                break
        yield len(held)
    finally:
        for one in held:
            one.close()


@contextlib.contextmanager
def silent_clients(port: int, count: int, host: str = LOOPBACK) -> Iterator[int]:
    """Hold this many TLS connections that shake hands, then send nothing. Returns how many opened."""
    _demand_loopback(host, count)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    held: list[ssl.SSLSocket] = []
    try:
        for _ in range(count):
            try:
                raw = socket.create_connection((host, port), PATIENCE_S)
                held.append(context.wrap_socket(raw))
            except OSError:
                continue
        yield len(held)
    finally:
        for one in held:
            one.close()


def logons(port: int, count: int, host: str = LOOPBACK) -> dict[int, int]:
    """Send this many wrong logins, twenty at once. Returns the count of each status (0: no answer)."""
    _demand_loopback(host, count)
    body = {"user": "chief", "password": "x" * 200, "code": "000000"}
    statuses: dict[int, int] = {}
    with httpx.Client(verify=False, trust_env=False, timeout=PATIENCE_S) as client:  # noqa: S501 - our own loopback

        def one(_number: int) -> int:
            try:
                return client.post(f"https://{host}:{port}/desk/session/logon", json=body).status_code
            except httpx.HTTPError:
                return 0

        with ThreadPoolExecutor(20) as pool:
            for status in pool.map(one, range(count)):
                statuses[status] = statuses.get(status, 0) + 1
    return statuses


def main() -> None:
    """Flood, and print what was opened and answered."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--bare", type=int, default=0)
    parser.add_argument("--silent", type=int, default=0)
    parser.add_argument("--logons", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=10)
    args = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    until = time.monotonic() + min(args.seconds, 3600)
    while time.monotonic() < until:
        with bare_connections(args.port, args.bare) as bare, silent_clients(args.port, args.silent) as silent:
            print(f"bare {bare}, silent {silent}, logins {logons(args.port, args.logons)}", flush=True)
            time.sleep(min(5.0, max(0.0, until - time.monotonic())))


if __name__ == "__main__":
    main()
