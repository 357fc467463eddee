"""A TLS client that offers only what it is told to: `python tls_client.py PORT CA`, under an OPENSSL_CONF.

Prints the suite that was negotiated, or the reason why none was.
"""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import sys
from pathlib import Path


def offer(
    folder: Path, port: int, ca: Path, *, suites: str = "", groups: str = "", tls12: bool = False
) -> str:
    """The answer of a server on loopback to a client with these TLS 1.3 suites and groups."""
    lines = ["openssl_conf = a", "[a]", "ssl_conf = b", "[b]", "system_default = c", "[c]"]
    lines += [f"Ciphersuites = {suites}"] if suites else []
    lines += [f"Groups = {groups}"] if groups else []
    lines += ["MaxProtocol = TLSv1.2"] if tls12 else []
    conf = folder / "client.cnf"
    conf.write_text("\n".join(lines) + "\n")
    done = subprocess.run(
        [sys.executable, "-I", "-S", __file__, str(port), str(ca)],
        env={**os.environ, "OPENSSL_CONF": str(conf)},
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    return done.stdout.strip()


def main() -> None:
    """Shake hands once and print the result."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(sys.argv[2])
    try:
        with (
            socket.create_connection(("127.0.0.1", int(sys.argv[1])), 300) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as line,
        ):
            print(*line.cipher()[:2])  # type: ignore[index]
    except ssl.SSLError as error:
        print(f"refused: {error.reason}")


if __name__ == "__main__":
    main()
