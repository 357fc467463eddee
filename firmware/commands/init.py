"""`reader init`: make a home, its keys and a configuration with comments."""

from __future__ import annotations

import json

import click

from firmware.custody.opening import DEFAULT_SLOT, slot_of
from firmware.run.app import prepare_home
from firmware.settings.config import FILE_NAME, load_config
from storage.home import Home
from sync.command_frame import DONE, Common, verb


@verb("init", example="reader --home ./demo init --slot tpm:0x1500ab1")
@click.option(
    "--slot",
    "slot_uri",
    default=DEFAULT_SLOT,
    show_default=True,
    metavar="URI",
    help="Key slot of a new home: tpm:INDEX (a chip: older copies of the card stay closed), loopback:/PATH "
    "(a stand-in for one), file:NAME in the home.",
)
def init(common: Common, *, slot_uri: str) -> int:
    """Make the data folder: the log with its Ed25519 key (0600), the key slot, and config.toml.

    config.toml names every setting, its range and its reason. What exists already is left alone.
    """
    new = prepare_home(common.home, slot_uri=slot_uri)
    load_config(common.home)
    home = Home(common.home)
    slot = slot_of(common.home)
    public_key = home.read_public_key().text()
    if common.json:
        facts = {"home": str(common.home), "new": new, "public_key": public_key, "slot": slot.uri}
        print(json.dumps(facts))
        return DONE
    print(f"{common.home}: {'made' if new else 'exists already'}")
    print(f"configuration  {common.home / FILE_NAME}")
    print(f"public key     {public_key}")
    print("               keep a copy elsewhere: with it anybody can prove what this unit recorded")
    print(f"key slot       {slot.uri}: {slot.promise}")
    return DONE
