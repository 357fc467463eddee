"""Images built from the good tree with one change each: updates that must not stay, and cards for trials."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from alpr_device.slots import PiSlots

from alpr_image import pack, wheels
from alpr_image.bundle import rauc_bundle, update_file
from alpr_image.image import ImageParts, assemble
from alpr_image.release_log import ReleaseLog
from alpr_image.root import ImageLabel
from alpr_image.workshop import Workshop, run

Alter = Callable[[Path], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """An update file, and what it is."""

    update: Path
    version: int


def make(
    shop: Workshop,
    parts: ImageParts,
    *,
    version: int,
    name: str,
    alter: Alter | None = None,
    signer: str = "bundle",
    logged: bool = True,
) -> Variant:
    """Build an update from a copy of the good tree. logged: add it to the release log, with its proof."""
    facts = ImageLabel(board=parts.board.name, version=version, name=f"0.2.{version}")
    out = shop.folder(f"variant-{name}")
    verified, boot = _assembled(shop, parts, facts, out, alter)
    bundle = rauc_bundle(
        shop, facts, root=verified.image, boot=boot, keys=parts.keys, out=out / "bundle.raucb", signer=signer
    )
    log = ReleaseLog(shop.path / "release-log.json", parts.keys)
    update = update_file(
        bundle, facts, verified.root_hash, log=log if logged else None, out=out / f"{name}.update", proof="\n"
    )
    for large in (bundle, out / "system.img", boot):
        large.unlink()
    return Variant(update=update, version=version)


def card(shop: Workshop, parts: ImageParts, *, name: str, alter: Alter) -> Path:
    """A card with an altered tree in slot A, like the card of a build."""
    facts, out = ImageLabel(board=parts.board.name, version=1, name=name), shop.folder(f"variant-{name}")
    verified, boot = _assembled(shop, parts, facts, out, alter)
    config = pack.config_partition(shop, PiSlots.autoboot("A"), out / "bootconfig.img")
    return pack.disk(shop, config=config, boot=boot, root=verified.image, out=out / "card.img")


def _assembled(
    shop: Workshop, parts: ImageParts, facts: ImageLabel, out: Path, alter: Alter | None
) -> tuple[pack.VerifiedRoot, Path]:
    """The root and the boot partition from a copy of the good tree."""
    good, tree = shop.path / f"root-{parts.board.name}", shop.path / "root-variant"
    run(["rm", "-rf", tree])
    run(["cp", "-a", good, tree])
    if alter is not None:
        alter(tree)
    made = assemble(shop, parts, facts, tree, out)
    run(["rm", "-rf", tree])
    return made


def without_models(tree: Path) -> None:
    """Make a tree that boots but reads nothing."""
    for path in (tree / wheels.FOLDER).rglob("*.tflite"):
        path.write_bytes(path.read_bytes()[:4096])


def without_init(tree: Path) -> None:
    """Make a tree that does not boot."""
    (tree / "usr/lib/systemd/systemd").unlink()
