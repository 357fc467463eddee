"""`python -m alpr_image`: build and test the image, its update and its packages; write cards and locks.

build [--board virt] [--version N] [--name TEXT]   build the card and the update file, in the work folder
test [--built] [--only PART...]                    boot the card under QEMU, try to break it, print a table
provision CARD --image FILE [--write]              plan how to write a card; --write: do it and compare
provision --secure-boot rpi                        print the steps that lock a Raspberry Pi
lock                                               rewrite packages/debs-*.lock and device.lock
deb [--try SYSTEM...]                              build the packages for a system of your own; --try:
                                                   install and run them in an arm64 Debian of that name
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from alpr_image import boot, debs, image, provision
from alpr_image.workshop import BuildError, Workshop, version

PARTS = ("visit", "hard-day", "chip", "fuses", "second-disk", "tampered", "tampered-here")


def main() -> int:
    """Run one verb; returns 1 after printing the reason if a step fails."""
    parser = argparse.ArgumentParser(
        prog="alpr_image", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    one = verbs.add_parser("build")
    one.add_argument("--board", default="virt")
    one.add_argument("--version", type=int, default=1)
    one.add_argument("--name", default=version())
    one.add_argument(
        "--twice", action="store_true", help="build again from nothing; fail if the hash differs"
    )
    one = verbs.add_parser("test")
    one.add_argument("--only", nargs="*", default=list(PARTS[:-1]), choices=PARTS)
    one.add_argument("--built", action="store_true", help="use the image of the last build")
    one = verbs.add_parser("provision")
    one.add_argument("card", nargs="?", type=Path)
    one.add_argument("--image", type=Path)
    one.add_argument("--write", action="store_true", help="write the card (default: only print the plan)")
    one.add_argument("--secure-boot", choices=("rpi",), help="print the steps that lock a board")
    verbs.add_parser("lock")
    one = verbs.add_parser("deb")
    one.add_argument("--try", nargs="+", default=[], dest="systems", choices=("bookworm", "trixie"))
    one.add_argument("--built", action="store_true", help="use the packages of the last build")
    args = parser.parse_args()
    shop, begun = Workshop.of_environment(), time.monotonic()
    try:
        if args.verb == "build":
            made = image.build(shop, board=args.board, version=args.version, name=args.name, show=_show)
            print(made.figures())
            if args.twice:
                _build_again(shop, made)
        elif args.verb == "provision":
            return _provision(args)
        elif args.verb == "test":
            return _test(shop, args.only, built=args.built)
        elif args.verb == "lock":
            shop.make_tools()
            image.relock(shop)
            print(", ".join(str(debs.lock_of(name)) for name in image.BOARDS), "written")
        else:
            _deb(shop, args.systems, built=args.built)
    except BuildError as error:
        print(f"image: {error}", file=sys.stderr)
        return 1
    _show(f"{args.verb}: {time.monotonic() - begun:.0f} s in all")
    return 0


def _build_again(shop: Workshop, made: image.Built) -> None:
    before = boot.unsigned_digests(made.boot.parent)
    again = image.build_again(shop, made, _show)
    if again.root.root_hash != made.root.root_hash:
        raise BuildError(f"two builds, two roots: {again.root.root_hash} and {made.root.root_hash}")
    if differ := before.items() ^ boot.unsigned_digests(again.boot.parent).items():
        raise BuildError(f"two builds differ in {', '.join(sorted({name for name, _ in differ}))}")
    print(f"built twice: one root hash, one {', one '.join(before)}, signatures and their times aside")


def _deb(shop: Workshop, systems: list[str], *, built: bool) -> None:
    from alpr_image import deb, deb_trial  # noqa: PLC0415 - need no tools tree
    from alpr_image.root import KNOWN_PICTURE, KNOWN_TEXT  # noqa: PLC0415

    if not built:
        for path in deb.build_debs(shop):
            print(path)
    for system in (one for one in deb.SYSTEMS if one.name in systems):
        for line in deb_trial.try_deb(shop, system, deb.reader_path(shop, system), KNOWN_PICTURE, KNOWN_TEXT):
            print(f"{system.name}: {line}")


def _provision(args: argparse.Namespace) -> int:
    if args.secure_boot:
        for number, line in enumerate(provision.RPI_SECURE_BOOT, start=1):
            print(f"{number}. {line}")
        return 0
    if args.card is None or args.image is None:
        raise BuildError("provision: name the card and --image, or --secure-boot rpi")
    bench = provision.plan(args.card, args.image)
    print("\n".join(bench.lines()))
    if not args.write:
        print("nothing was written; with --write it is")
        return 0
    print(f"written and read back, SHA-256 {provision.write(bench)}")
    return 0


def _test(shop: Workshop, only: list[str], *, built: bool) -> int:
    from alpr_image.bench import (  # noqa: PLC0415 - need the tests' tools
        chip,
        fuses,
        second_disk,
        story,
        tampering,
        trials,
        visit,
    )
    from alpr_image.bench.office import Office  # noqa: PLC0415

    made = image.build(shop, board="virt", version=1, name=version(), show=_show, fresh=not built)
    parts = image.ImageParts.gather(shop, "virt")
    bench = story.BenchStory(shop, parts.keys, _show)
    if "tampered-here" in only:  # no virtual machine: this machine's tools apply the same rules
        tampering.tampered(bench, parts, made, booted=False)
    if "visit" in only:
        machine, card, office = visit.first_day(bench, made)
    elif "hard-day" in only:  # with the unit of an earlier run
        (machine, card), office = bench.last_unit(), Office(bench.folder / "office")
    if "hard-day" in only:
        stick = trials.Stick.filled(bench, parts, made.update)
        trials.hard_day(bench, stick, (machine, card), office)
    if "chip" in only:
        chip.keys_in_the_chip(bench, parts)
    if "fuses" in only:
        fuses.key_in_the_fuses(bench, parts)
    if "second-disk" in only:
        second_disk.beside_a_second_disk(bench, made)
    if "tampered" in only:
        tampering.tampered(bench, parts, made)
    print(bench.write().read_text(encoding="utf-8"))
    return 0 if bench.good else 1


def _show(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
