"""`department witness`: a small witness for an office outside the department (C2SP tlog-witness)."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from sync.command_frame import Common, noun
from sync.department.commands import given_files
from sync.department.ground.home import DepartmentHome, demand_owner
from sync.department.ground.ports import demand_free
from sync.department.ground.served_certificate import ServedCertificate
from sync.department.ground.serving import serve_app
from sync.department.journal.witness_server import WitnessFolder, witness_app
from sync.department.server.open_desk import open_desk
from sync.errors import DONE, InvalidInputError

witness = noun(
    "witness", "A witness outside the department.", example="department witness serve --folder /srv/witness"
)
folder_option = click.option("--folder", type=given_files.FILE, required=True, help="The witness's folder.")


PLAIN = (
    "\nno department can ask it like this: a department asks only over HTTPS. Give --certificate and --key, "
    "or put an HTTPS proxy in front"
)


@witness.verb("init", example="department witness init --name w.example/1 --folder /srv/witness")
@click.option("--name", required=True, help="Its name in notes, e.g. attorney.example.gov/witness.")
@folder_option
def init(_common: Common, *, name: str, folder: Path) -> int:
    """Make a witness, and print its key."""
    made = WitnessFolder.create(folder, name)
    print(",".join(one.text() for one in made.keys))
    made.close()
    return DONE


@witness.verb("key", example="department witness key --folder /srv/witness")
@folder_option
def key(_common: Common, *, folder: Path) -> int:
    """Print a witness's key again, as `keys draft --witness` takes it."""
    opened = WitnessFolder(folder)
    print(",".join(one.text() for one in opened.keys))
    opened.close()
    return DONE


@witness.verb("add-log", example="department witness add-log KEY --folder /srv/witness")
@click.argument("key")
@folder_option
def add_log(_common: Common, *, key: str, folder: Path) -> int:
    """Watch a log from now on. KEY is the log's key, as `department witness log-key` prints it."""
    demand_owner(folder)
    opened = WitnessFolder(folder)
    try:
        public = given_files.key_of(key, "KEY")
        opened.add_log(public)
        print(f"watching {public.name}")
    finally:
        opened.close()
    return DONE


@witness.verb("log-key", example="department witness log-key")
def log_key(common: Common) -> int:
    """Print this department's log key."""
    home_desk = open_desk(DepartmentHome.open(common.home))
    print(home_desk.log.note_key.text())
    home_desk.close()
    return DONE


@witness.verb("serve", example="department witness serve --folder /srv/witness --port 8465")
@folder_option
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=int, default=8465, show_default=True, help="Port to listen on.")
@click.option("--certificate", type=given_files.FILE, help="PEM chain; with --key: HTTPS.")
@click.option("--key", "tls_key", type=given_files.FILE, help="PEM key.")
@click.option("--fips", is_flag=True, help="Only approved algorithms in TLS.")
def serve(
    _common: Common,
    *,
    folder: Path,
    host: str,
    port: int,
    certificate: Path | None,
    tls_key: Path | None,
    fips: bool,
) -> int:
    """Answer add-checkpoint requests until stopped.

    A department asks only over HTTPS: without --certificate, put an HTTPS proxy in front.
    """
    demand_owner(folder)
    opened = WitnessFolder(folder)
    try:
        if (certificate is None) != (tls_key is None) or (fips and certificate is None):
            raise InvalidInputError("belongs with --key; --fips needs both", where="--certificate")
        demand_free(host, port, "--port")
        shown = _shown(certificate, tls_key, fips=fips)
        said = f"witness {opened.name} on {host}:{port}{'' if shown else ', without TLS'}; Ctrl-C stops"
        print(said, PLAIN * (shown is None), sep="", file=sys.stderr, flush=True)
        serve_app(witness_app(opened), host, port, shown)
    finally:
        opened.close()
    return DONE


def _shown(certificate: Path | None, tls_key: Path | None, *, fips: bool) -> ServedCertificate | None:
    """The certificate, or None for plain HTTP, since a co-signature needs no secrecy."""
    if certificate is None or tls_key is None:
        return None
    return ServedCertificate(certificate, tls_key, approved=fips)
