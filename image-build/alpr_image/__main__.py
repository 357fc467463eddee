"""`python -m alpr_image`: build the image, its update, its packages; write the lock.

build [--board virt] [--version N] [--name TEXT]   the card and the update file, in the workshop
lock                                               packages/debs.lock and device.lock anew
deb                                                the packages for those who keep their own system
"""

from __future__ import annotations

import argparse
import sys
import time

from alpr_image import debs, image
from alpr_image.workshop import BuildError, Workshop


def main() -> int:
    """Do it; exit status 1 with one reason where a step fails."""
    parser = argparse.ArgumentParser(prog="alpr_image", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    one = verbs.add_parser("build")
    one.add_argument("--board", default="virt")
    one.add_argument("--version", type=int, default=1)
    one.add_argument("--name", default="0.1.0")
    verbs.add_parser("lock")
    verbs.add_parser("deb")
    args = parser.parse_args()
    shop, begun = Workshop.of_environment(), time.monotonic()
    try:
        if args.verb == "build":
            made = image.build(shop, board=args.board, version=args.version, name=args.name, tell=_tell)
            print(made.told())
        elif args.verb == "lock":
            shop.make_tools()
            image.relock(shop)
            print(f"{debs.LOCK}: written")
        else:
            from alpr_image.deb import build_debs  # noqa: PLC0415 - needs no tools tree

            for path in build_debs(shop):
                print(path)
    except BuildError as error:
        print(f"image: {error}", file=sys.stderr)
        return 1
    _tell(f"{args.verb}: {time.monotonic() - begun:.0f} s in all")
    return 0


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
