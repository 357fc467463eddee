"""Builds one board's image from its inputs to the card, step by step."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from alpr_device.slots import PiSlots

from alpr_image import boot, debs, initramfs, pack, root, sbom, wheels
from alpr_image.bundle import rauc_bundle, update_file
from alpr_image.keys import KeyFolder, bench_keys
from alpr_image.release_log import ReleaseLog
from alpr_image.workshop import BuildError, Workshop, listed, python_of, run

BOARDS = ("virt", "rpi")
HOST_PACKAGES = ("busybox-static", "systemd-boot-efi")


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """The results of a build. boot: the boot partition of a slot."""

    facts: root.ImageLabel
    root: pack.VerifiedRoot
    boot: Path
    card: Path
    bundle: Path
    update: Path

    def figures(self) -> str:
        """The sizes and hashes, a line each."""
        sizes = {
            "root": self.root.image,
            "boot": self.boot,
            "card": self.card,
            "update": self.update,
        }
        lines = [f"{name:<6} {path.stat().st_size / 1e6:7.1f} MB  {path}" for name, path in sizes.items()]
        digest = hashlib.sha256(self.boot.read_bytes()).hexdigest()
        return "\n".join([*lines, f"root hash {self.root.root_hash}", f"boot SHA-256 {digest}"])


def unpacked(shop: Workshop, names: list[str]) -> Path:
    """Unpack these packages into a folder of the workshop."""
    folder = shop.path / ("unpacked-" + hashlib.sha256(" ".join(names).encode()).hexdigest()[:8])
    wanted = debs.fetch(shop, names)
    stamp, names_wanted = folder / ".debs", "\n".join(path.name for path in wanted)
    if stamp.exists() and stamp.read_text() == names_wanted:
        return folder
    run(["rm", "-rf", folder])
    folder.mkdir()
    for deb in wanted:
        shop.tool("dpkg-deb", "--extract", deb, folder)
    stamp.write_text(names_wanted)
    return folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """What the mirror has for a board. lacking: what is missing, as lines for the person who builds."""

    kernel: str
    modules: tuple[str, ...]
    packages: tuple[str, ...]
    firmware: str
    lacking: tuple[str, ...]

    @classmethod
    def of(cls, shop: Workshop, board: boot.BoardProfile) -> Chosen:
        """Look at the mirror. Raises BuildError if it has neither the kernel nor its substitute."""
        wanted = [board.kernel, *board.packages, *([board.stand_in] if board.stand_in else [])]
        there = debs.available(shop, wanted)
        own = board.kernel in there
        if not own and board.stand_in not in there:
            raise BuildError(f"{board.name}: the mirror has no {board.kernel}")
        lacking = [f"left out: {name}" for name in board.packages if name not in there]
        if not own:
            lacking.insert(0, f"{board.stand_in} stands in for {board.kernel}")
        return cls(
            kernel=_behind(shop, board.kernel if own else board.stand_in),
            modules=board.modules if own else (*board.modules, *board.stand_in_modules),
            packages=tuple(name for name in board.packages if name in there and own),
            firmware=board.firmware,
            lacking=tuple(lacking),
        )

    @property
    def names(self) -> list[str]:
        """The packages, by name."""
        return [self.kernel, *self.packages, *([self.firmware] if self.firmware else [])]


def _behind(shop: Workshop, name: str) -> str:
    """The package behind a kernel metapackage."""
    meta = debs.fetch(shop, [name])[0]
    for word in shop.tool("dpkg-deb", "--field", meta, "Depends").replace(",", " ").split():
        if word.startswith("linux-image-"):
            return word
    return name


def inputs(shop: Workshop, chosen: Chosen) -> list[Path]:
    """All .deb files for an image of this board."""
    names = [*listed("plain.list"), *HOST_PACKAGES, *chosen.names]
    return [*root.used_debs(shop, shop.path / "base"), *debs.fetch(shop, names)]


def relock(shop: Workshop) -> None:
    """Rewrite every board's lock from the mirror's current packages."""
    run(["rm", "-rf", shop.path / "apt"])
    root.build_base(shop)
    for name in BOARDS:
        chosen = Chosen.of(shop, boot.BoardProfile.load(name))
        debs.write_lock(inputs(shop, chosen), debs.lock_of(name))


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageParts:
    """The parts of one board's images: the kernel, the inputs of initramfs and UKI, and the keys."""

    board: boot.BoardProfile
    chosen: Chosen
    kernel: Path
    firmware: Path | None
    extra: Path
    keys: KeyFolder

    @classmethod
    def gather(cls, shop: Workshop, name: str) -> ImageParts:
        """Fetch and unpack the parts. Raises BuildError."""
        board = boot.BoardProfile.load(name)
        chosen = Chosen.of(shop, board)
        return cls(
            board=board,
            chosen=chosen,
            kernel=unpacked(shop, [chosen.kernel]),
            firmware=unpacked(shop, [chosen.firmware]) if chosen.firmware else None,
            extra=unpacked(shop, list(HOST_PACKAGES)),
            keys=bench_keys(shop),
        )


def assemble(
    shop: Workshop, parts: ImageParts, facts: root.ImageLabel, tree: Path, out: Path
) -> tuple[pack.VerifiedRoot, Path]:
    """Make (verified root, boot partition of a slot) from a tree."""
    (tree / "usr/share/alpr/image.toml").write_text(facts.toml(), encoding="utf-8")
    root.set_times(tree)
    verified = pack.verified_root(shop, tree, out / "system.img")
    made = initramfs.build(
        shop,
        tree=tree,
        busybox=parts.extra / "usr/bin/busybox",
        modules=next((tree / "usr/lib/modules").iterdir()),
        wanted=list(parts.chosen.modules),
        root=verified,
        out=out / "initramfs",
    )
    if parts.firmware is not None:
        slot = boot.rpi_boot(
            shop,
            parts.board,
            firmware=parts.firmware,
            kernel=parts.kernel,
            initramfs=made,
            out=out / "boot.img",
        )
        return verified, slot
    signed = boot.uki(
        shop,
        parts.board,
        kernel=parts.kernel,
        initramfs=made,
        stub=parts.extra / "usr/lib/systemd/boot/efi/linuxaa64.efi.stub",
        keys=parts.keys,
        out=out / "unit.efi",
        version=facts.version,
        name=facts.name,
    )
    return verified, boot.virt_boot(shop, signed, out / "boot.img")


def build(
    shop: Workshop, *, board: str, version: int, name: str, show: Callable[[str], None], fresh: bool = True
) -> Built:
    """Build one image. fresh: make every tree again; else use the last root tree. Raises BuildError."""
    begun = time.monotonic()

    def step(what: str) -> None:
        show(f"{time.monotonic() - begun:6.1f} s  {what}")

    shop.make_tools()
    step("tools")
    facts, out, tree = (
        root.ImageLabel(board=board, version=version, name=name),
        shop.folder(f"{board}-{version}"),
        shop.path / f"root-{board}",
    )
    if fresh:
        root.build_base(shop)
    parts = ImageParts.gather(shop, board)
    debs.check_lock(inputs(shop, parts.chosen), debs.lock_of(board))
    for line in parts.chosen.lacking:
        show(f"NOT FOR DEPLOYMENT: {line}")
    step("Debian tree")
    if fresh or not tree.exists():
        keys = parts.keys
        root.build_root(
            shop,
            facts,
            trust=keys.trust,
            keyring=keys.pem("bundle.pem"),
            kernel=parts.kernel,
            python=python_of("3.13"),
            packages=list(parts.chosen.packages),
        )
        step("root tree")
    components = [*sbom.debian(tree), *sbom.python(tree / wheels.FOLDER), *sbom.models(tree / wheels.FOLDER)]
    sbom.write(components, name=f"alpr-{board}", version=f"{name} ({version})", out=out)
    verified, slot = assemble(shop, parts, facts, tree, out)
    step("root image, initramfs, UKI")
    config = pack.config_partition(shop, PiSlots.autoboot("A"), out / "bootconfig.img")
    card = pack.disk(shop, config=config, boot=slot, root=verified.image, out=out / "card.img")
    step("card")
    bundle = rauc_bundle(
        shop, facts, root=verified.image, boot=slot, keys=parts.keys, out=out / f"alpr-{version}.raucb"
    )
    log = ReleaseLog(shop.path / "release-log.json", parts.keys)
    update = update_file(bundle, facts, verified.root_hash, log=log, out=out / f"alpr-{version}.update")
    step("update")
    return Built(facts=facts, root=verified, boot=slot, card=card, bundle=bundle, update=update)


def build_again(shop: Workshop, built: Built, show: Callable[[str], None]) -> Built:
    """Build the same image again from nothing, to compare the root hashes of two builds."""
    facts = built.facts
    return build(shop, board=facts.board, version=facts.version, name=facts.name, show=show)
