"""`reader init`: make a home, its keys and a configuration with comments."""

from __future__ import annotations

import argparse
import json

from firmware.commands import Subparsers
from firmware.custody.opening import DEFAULT_SLOT, slot_of
from firmware.errors import DONE
from firmware.run.app import prepare_home
from firmware.settings.config import FILE_NAME, load_config
from storage.home import Home


def add_parser(subparsers: Subparsers) -> None:
    """Add `init` to the command line."""
    parser = subparsers.add_parser(
        "init",
        help="make a home: keys and a configuration with comments",
        description="Makes the data folder: the log with its Ed25519 key (0600), the key slot, and "
        "config.toml with every setting, its range and its reason. What is there already is left alone.",
        epilog="example: reader --home ./demo init --slot tpm:0x1500ab1",
    )
    parser.add_argument(
        "--slot",
        default=DEFAULT_SLOT,
        metavar="URI",
        help="where a new home's keys hang: tpm:INDEX (a chip: older copies of the card stay closed), "
        f"loopback:/PATH (a stand-in for one), file:NAME in the home (default: {DEFAULT_SLOT})",
    )


def run(args: argparse.Namespace) -> int:
    """Make what is missing, check the configuration, say what the slot promises."""
    new = prepare_home(args.home, slot_uri=args.slot)
    load_config(args.home)
    home = Home(args.home)
    slot = slot_of(args.home)
    public_key = home.read_public_key().text()
    if args.json:
        facts = {"home": str(args.home), "new": new, "public_key": public_key, "slot": slot.uri}
        print(json.dumps(facts))
        return DONE
    print(f"{args.home}: {'made' if new else 'was there already'}")
    print(f"configuration  {args.home / FILE_NAME}")
    print(f"public key     {public_key}")
    print("               keep a copy elsewhere: with it anybody can prove what this unit recorded")
    print(f"key slot       {slot.uri}: {slot.promise}")
    return DONE
