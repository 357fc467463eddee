"""Makes the initramfs on the host: a busybox, veritysetup, the modules that find the root, and the root's
hash.

It decides only which slot this is, and succeeds only with a root that matches the hash in it.
"""

from __future__ import annotations

import lzma
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from alpr_image.pack import VerifiedRoot
from alpr_image.workshop import EPOCH, HERE, BuildError, Workshop, run

BUSYBOX_TOOLS = (
    "sh",
    "mount",
    "umount",
    "insmod",
    "cat",
    "sleep",
    "switch_root",
    "mkdir",
    "reboot",
    "tail",
    "tr",
    "grep",
    "sed",
    "ls",
    "od",
    "readlink",
)
WAYS = ("usr/lib/aarch64-linux-gnu", "lib/aarch64-linux-gnu", "usr/lib", "lib")


def needed_libraries(shop: Workshop, tree: Path, program: Path) -> list[Path]:
    """The closure of NEEDED entries, as paths in the tree. Raises BuildError for a missing library."""
    found: dict[str, Path] = {}
    waiting = [program]
    while waiting:
        text = shop.tool("readelf", "--dynamic", waiting.pop())
        for name in re.findall(r"\(NEEDED\).*\[(.+)\]", text):
            if name in found:
                continue
            path = next((tree / way / name for way in WAYS if (tree / way / name).exists()), None)
            if path is None:
                raise BuildError(f"{program.name} needs {name}, which is not in the tree")
            found[name] = path
            waiting.append(path.resolve())
    return [found[name] for name in sorted(found)]


def module_closure(modules: Path, wanted: Iterable[str]) -> list[Path]:
    """These modules and all that they need (modules.dep, modules.softdep), in loading order."""
    depends: dict[str, tuple[str, list[str]]] = {}
    for line in (modules / "modules.dep").read_text(encoding="utf-8").splitlines():
        path, _, rest = line.partition(":")
        depends[_name(path)] = (path, rest.split())
    soft: dict[str, list[str]] = {}
    for line in (modules / "modules.softdep").read_text(encoding="utf-8").splitlines():
        if match := re.match(r"softdep (\S+) pre: (.*?)(?: post:.*)?$", line):
            soft.setdefault(match[1].replace("-", "_"), []).extend(match[2].split())
    builtin = {_name(line) for line in (modules / "modules.builtin").read_text(encoding="utf-8").splitlines()}
    aliases: dict[str, list[str]] = {}
    for line in (modules / "modules.alias").read_text(encoding="utf-8").splitlines():
        words = line.split()
        if len(words) == 3 and words[0] == "alias":
            aliases.setdefault(words[1].replace("-", "_"), []).append(words[2])
    order: list[Path] = []

    def load(name: str) -> None:
        name = name.replace("-", "_")
        if name in builtin:
            return
        if name not in depends:
            for one in aliases.get(name, []):
                load(one)
            return
        path, needs = depends[name]
        if modules / path in order:
            return
        for one in soft.get(name, []):
            load(one)
        for one in reversed(needs):
            load(_name(one))
        if modules / path not in order:
            order.append(modules / path)

    for name in wanted:
        if name.replace("-", "_") not in depends and name.replace("-", "_") not in builtin:
            raise BuildError(f"the kernel has no module {name}")
        load(name)
    return order


def _name(path: str) -> str:
    return Path(path).name.split(".")[0].replace("-", "_")


def build(
    shop: Workshop,
    *,
    tree: Path,
    busybox: Path,
    modules: Path,
    wanted: list[str],
    root: VerifiedRoot,
    out: Path,
) -> Path:
    """Write the initramfs to `out`. modules: the kernel's module folder, with modules.dep."""
    stage = shop.path / "initramfs"
    run(["rm", "-rf", stage])
    for name in ("bin", "dev", "proc", "sys", "run", "lower", "layer", "new", "lib", "modules", "etc"):
        (stage / name).mkdir(parents=True)
    shutil.copyfile(busybox, stage / "bin/busybox")
    (stage / "bin/busybox").chmod(0o755)
    for name in BUSYBOX_TOOLS:
        (stage / "bin" / name).symlink_to("busybox")
    program = tree / "usr/sbin/veritysetup"
    shutil.copyfile(program, stage / "bin/veritysetup")
    (stage / "bin/veritysetup").chmod(0o755)
    for library in needed_libraries(shop, tree, program):
        shutil.copyfile(library.resolve(), stage / "lib" / library.name)
        (stage / "lib" / library.name).chmod(0o755)
    (stage / "lib/aarch64-linux-gnu").symlink_to(".")
    order = []
    for module in module_closure(modules, wanted):
        name = _name(module.name) + ".ko"
        data = module.read_bytes()
        (stage / "modules" / name).write_bytes(lzma.decompress(data) if module.suffix == ".xz" else data)
        order.append(name)
    (stage / "modules/order").write_text("".join(f"{name}\n" for name in order))
    (stage / "etc/root-hash").write_text(f"{root.root_hash}\n")
    (stage / "etc/hash-offset").write_text(f"{root.hash_offset}\n")
    shutil.copyfile(HERE / "initramfs" / "disks", stage / "etc/disks")
    shutil.copyfile(HERE / "initramfs" / "init", stage / "init")
    (stage / "init").chmod(0o755)
    run(["find", stage, "-exec", "touch", "--no-dereference", f"--date=@{EPOCH}", "{}", "+"])
    shop.tool(
        "sh",
        "-c",
        f"cd {stage} && find . -mindepth 1 | LC_ALL=C sort | cpio --quiet -o -H newc -R 0:0 --reproducible "
        f"--ignore-devno --renumber-inodes | zstd -q -9 -T1 > {out}",
    )
    return out
