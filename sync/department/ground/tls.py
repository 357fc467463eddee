"""The department's TLS: 1.3 over P-256 for its servers; in the FIPS profile, only AES-GCM suites.

Python's `ssl` can choose the curve of a context, but before 3.15 not the suites of TLS 1.3. In the FIPS
profile, the process is therefore restarted with an OpenSSL configuration (`openssl-approved.cnf`) that names
the approved suites, unless the machine's own OpenSSL already allows only those. In either case,
`approved_only` checks what the context would really offer, and refuses to serve or connect otherwise.
"""

from __future__ import annotations

import os
import ssl
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from storage.errors import causes_of
from sync.errors import InvalidInputError, LackingError

CURVE = "prime256v1"
APPROVED_SUITES = frozenset({"TLS_AES_256_GCM_SHA384", "TLS_AES_128_GCM_SHA256"})
APPROVED_1_2 = "ECDHE+AESGCM:!aNULL"
OPENSSL_CONF = "OPENSSL_CONF"
APPROVED_FILE = Path(__file__).with_name("openssl-approved.cnf")
UNTRUSTED = "its certificate is not trusted"
NOT_YET = "its certificate is not valid yet, by this server's clock"
EXPIRED = "its certificate has expired, by this server's clock"
OTHER_NAME = "its certificate is for another name"
_FAULTS = {9: NOT_YET, 10: EXPIRED, 62: OTHER_NAME, 64: OTHER_NAME}  # codes of X509_verify_cert


def tls_context(
    certificate: Path, key: Path, *, clients_of: Path | None = None, approved: bool = False
) -> ssl.SSLContext:
    """TLS 1.3 for a server; with `clients_of`, only for clients with a certificate of that CA.

    `approved`: raises LackingError if any but AES-GCM suites would be negotiated.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        context.load_cert_chain(certificate, key)
    except OSError as error:  # includes SSLError
        raise InvalidInputError(
            f"no certificate chain with its key: {error.strerror or type(error).__name__}",
            where=f"{certificate}, {key}",
            cure="two PEM files: the chain, and its own key without a password",
        ) from None
    context.set_ecdh_curve(CURVE)
    context.num_tickets = 0
    if clients_of is not None:
        context.load_verify_locations(clients_of)
        context.verify_mode = ssl.CERT_REQUIRED
    if approved:
        approved_only(context)
    return context


def client_context(ca: str = "", *, approved: bool = False) -> ssl.SSLContext:
    """TLS to a witness or key service; `ca`: a PEM file, else the machine's authorities."""
    context = ssl.create_default_context(cafile=ca or None)
    if approved:
        context.set_ciphers(APPROVED_1_2)  # a remote witness may not support 1.3 yet
        context.set_ecdh_curve(CURVE)
        approved_only(context)
    return context


def suites_beyond(context: ssl.SSLContext) -> tuple[str, ...]:
    """The unapproved TLS 1.3 suites that this context would negotiate."""
    names = (str(one["name"]) for one in context.get_ciphers() if one["protocol"] == "TLSv1.3")
    return tuple(name for name in names if name not in APPROVED_SUITES)


def approved_only(context: ssl.SSLContext) -> None:
    """Raises LackingError naming the suites that this process would accept although FIPS forbids them."""
    beyond = suites_beyond(context)
    if beyond:
        raise LackingError(
            f"OpenSSL of this process would take {', '.join(beyond)}, which the FIPS profile forbids",
            where="TLS",
            cure=f"start it with {OPENSSL_CONF}={APPROVED_FILE}, or set Ciphersuites in your own file",
        )


def restart_for_approved(command: Sequence[str], environment: Mapping[str, str]) -> None:
    """Restart this process with the approved OpenSSL configuration; returns if it is already active.

    A configuration that the caller chose is never overridden; `approved_only` checks it.
    """
    if OPENSSL_CONF in environment or not suites_beyond(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)):
        return
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(sys.executable, [sys.executable, *command], {**environment, OPENSSL_CONF: str(APPROVED_FILE)})  # noqa: S606 - ourselves, with the same words


def certificate_fault(error: BaseException) -> str:
    """What is wrong with a server's certificate; empty if that was not the reason for the error."""
    for one in causes_of(error):
        if isinstance(one, ssl.SSLCertVerificationError):
            return _FAULTS.get(one.verify_code, UNTRUSTED)
    return ""
