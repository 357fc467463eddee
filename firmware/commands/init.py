"""`reader init`: make a home, its keys and a configuration with comments."""

from __future__ import annotations

import json
import sys

import click

from firmware.custody.opening import replace_ledger, slot_of
from firmware.errors import UsageError
from firmware.run.prepared_home import prepare_home
from firmware.settings.config import FILE_NAME, load_config
from hw.secure_slot import open_slot
from storage.home import Home
from sync.command_frame import Common, verb
from sync.errors import DONE


@verb("init", example="reader --home ./demo init --slot tpm:0x1500ab1")
@click.option(
    "--slot",
    "slot_uri",
    metavar="URI",
    help="Key slot of a new home: tpm:INDEX (a chip: old card copies stay unreadable), loopback:/PATH "
    "(a stand-in for one), file:NAME in the home. Default: file:slot. A home never changes its slot.",
)
@click.option(
    "--set-aside",
    is_flag=True,
    help="Move a damaged ledger, still sealed, to HOME/damaged-N, and begin a new one in its slot. The old "
    "keys are destroyed, so nothing can open what they sealed; a ledger that opens stays where it is.",
)
def init(common: Common, *, slot_uri: str | None, set_aside: bool) -> int:
    """Make the data folder: the log with its Ed25519 key (0600), the key slot, and config.toml.

    config.toml names every setting, its range and its reason. Existing files are not changed.
    """
    if set_aside:
        aside = replace_ledger(common.home)
        print(f"the damaged ledger is now in {aside}; reader verify {aside} checks it", file=sys.stderr)
    new = prepare_home(common.home, slot_uri=slot_uri)
    load_config(common.home)
    home = Home(common.home)
    slot = slot_of(common.home)
    if slot_uri is not None and open_slot(slot_uri, home.folder).uri != slot.uri:
        raise UsageError(
            f"{common.home} keeps its keys in {slot.uri}, not in {slot_uri}: a slot is chosen once. Make "
            "another home for it (firmware/README.md, Replace, move, retire)"
        )
    public_key = home.read_public_key().text()
    if common.json:
        facts = {"home": str(common.home), "new": new, "public_key": public_key, "slot": slot.uri}
        print(json.dumps(facts))
        return DONE
    print(f"{common.home}: {'created' if new else 'already exists'}")
    print(f"configuration  {common.home / FILE_NAME}")
    print(f"public key     {public_key}")
    print("               keep a copy elsewhere: it proves what this unit recorded")
    print(f"key slot       {slot.uri}: {slot.promise}")
    return DONE
