"""One board's image from its inputs to the card, step by step."""

from __future__ import annotations

import hashlib
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from alpr_device.slots import PiSlots

from alpr_image import boot, debs, initramfs, pack, root
from alpr_image.bundle import rauc_bundle, update_file
from alpr_image.keys import bench_keys
from alpr_image.release_log import ReleaseLog
from alpr_image.workshop import BuildError, Workshop, listed, run

HOST_PACKAGES = ("busybox-static", "systemd-boot-efi")


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """What a build made. boot: the boot partition of a slot."""

    facts: root.Facts
    root: pack.VerifiedRoot
    boot: Path
    card: Path
    bundle: Path
    update: Path

    def told(self) -> str:
        """The figures, a line each."""
        sizes = {
            "root": self.root.image,
            "boot": self.boot,
            "card": self.card,
            "update": self.update,
        }
        lines = [f"{name:<6} {path.stat().st_size / 1e6:7.1f} MB  {path}" for name, path in sizes.items()]
        digest = hashlib.sha256(self.boot.read_bytes()).hexdigest()
        return "\n".join([*lines, f"root hash {self.root.root_hash}", f"boot SHA-256 {digest}"])


def target_python() -> str:
    """A Python of the target's minor version here, for bytecode. Raises BuildError."""
    for name in (
        shutil.which("python3.13"),
        *sorted(Path.home().glob(".pyenv/versions/3.13*/bin/python3.13")),
    ):
        if name:
            return str(name)
    if sys.version_info[:2] == (3, 13):
        return sys.executable
    raise BuildError("no Python 3.13 here: it compiles the image's modules")


def unpacked(shop: Workshop, names: list[str]) -> Path:
    """These packages' files, in a folder of the workshop."""
    folder = shop.path / ("unpacked-" + hashlib.sha256(" ".join(names).encode()).hexdigest()[:8])
    wanted = debs.fetch(shop, names)
    stamp, told = folder / ".debs", "\n".join(path.name for path in wanted)
    if stamp.exists() and stamp.read_text() == told:
        return folder
    run(["rm", "-rf", folder])
    folder.mkdir()
    for deb in wanted:
        shop.tool("dpkg-deb", "--extract", deb, folder)
    stamp.write_text(told)
    return folder


def kernel_package(shop: Workshop, board: boot.Board) -> str:
    """The package behind the board's kernel metapackage."""
    meta = debs.fetch(shop, [board.kernel])[0]
    for word in shop.tool("dpkg-deb", "--field", meta, "Depends").replace(",", " ").split():
        if word.startswith("linux-image-"):
            return word
    return board.kernel


def inputs(shop: Workshop, board: boot.Board) -> list[Path]:
    """Every .deb that an image of this board is made of."""
    names = [*listed("plain.list"), *HOST_PACKAGES, kernel_package(shop, board)]
    return [*root.used_debs(shop, shop.path / "base"), *debs.fetch(shop, names)]


def relock(shop: Workshop) -> None:
    """Write packages/debs.lock from what the mirror has now."""
    run(["rm", "-rf", shop.path / "apt"])
    root.build_base(shop)
    debs.write_lock(inputs(shop, boot.Board.load("virt")))


def build(
    shop: Workshop,
    *,
    board: str,
    version: int,
    name: str,
    tell: Callable[[str], None],
    alter: Callable[[Path], None] | None = None,
    fresh: bool = True,
) -> Built:
    """Build one image. alter: changes the tree before it is packed (for the bench's bad images).

    fresh: the Debian tree anew; else the one of the last build. Raises BuildError.
    """
    known, facts, begun = (
        boot.Board.load(board),
        root.Facts(board=board, version=version, name=name),
        time.monotonic(),
    )
    if known.boot != "uki":
        raise BuildError(
            f"{board}: needs the board's own archive (ALPR_RPI_MIRROR); see image-build/README.md"
        )

    def step(what: str) -> None:
        tell(f"{time.monotonic() - begun:6.1f} s  {what}")

    shop.make_tools()
    keys, out = bench_keys(shop), shop.folder(f"{board}-{version}")
    step("tools")
    if fresh or not (shop.path / "base").exists():
        root.build_base(shop)
    debs.check_lock(inputs(shop, known))
    step("Debian tree")
    kernel, extra = unpacked(shop, [kernel_package(shop, known)]), unpacked(shop, list(HOST_PACKAGES))
    tree = root.build_root(
        shop, facts, trust=keys.trust, keyring=keys.pem("bundle.pem"), kernel=kernel, python=target_python()
    )
    if alter is not None:
        alter(tree)
    step("root tree")
    verified = pack.verified_root(shop, tree, out / "system.img")
    step("root image")
    made = initramfs.build(
        shop,
        tree=tree,
        busybox=extra / "usr/bin/busybox",
        modules=next((tree / "usr/lib/modules").iterdir()),
        wanted=list(known.modules),
        root=verified,
        out=out / "initramfs",
    )
    signed = boot.uki(
        shop,
        known,
        kernel=kernel,
        initramfs=made,
        stub=extra / "usr/lib/systemd/boot/efi/linuxaa64.efi.stub",
        keys=keys,
        out=out / "unit.efi",
        version=version,
        name=name,
    )
    slot = boot.virt_boot(shop, signed, out / "boot.img")
    config = pack.config_partition(shop, PiSlots.autoboot("A"), out / "bootconfig.img")
    card = pack.disk(shop, config=config, boot=slot, root=verified.image, out=out / "card.img")
    step("card")
    bundle = rauc_bundle(
        shop, facts, root=verified.image, boot=slot, keys=keys, out=out / f"alpr-{version}.raucb"
    )
    log = ReleaseLog(shop.path / "release-log.json", keys)
    update = update_file(bundle, facts, verified.root_hash, log=log, out=out / f"alpr-{version}.update")
    step("update")
    return Built(facts=facts, root=verified, boot=slot, card=card, bundle=bundle, update=update)
