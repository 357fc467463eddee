#!/bin/bash
# Sets up the runtimes that the nets are compared on, each with a `python` of its own below DIR:
#
#   tests/detector/other_runtimes.sh DIR
#
#   DIR/tflite/python    tflite-runtime with numpy 1 (extra `tflite`), Python 3.11
#   DIR/aarch64/python   ai-edge-litert's aarch64 wheel in Debian's arm64 Python, emulated by qemu-user
#
# Needs python3.11 with venv, and for the second apt-get, dpkg and the sources of a Debian that has arm64.
# Nothing is installed: packages are unpacked below DIR alone. What is there already is kept.
set -eu -o pipefail

ROOT=$(cd "$(dirname "$0")/../.." && pwd)
mkdir -p "${1:?folder for the runtimes}"
DIR=$(cd "$1" && pwd)
LOCK=$ROOT/requirements.lock

needs() { # a program, and what brings it
    command -v "$1" >/dev/null || { echo "other_runtimes: $1 not found: $2" >&2; exit 3; }
}

pinned() { # the version of a package for Python 3.11 in the lock file
    sed -n "s/^$1==\([^ ]*\).*/$1==\1/p" "$LOCK" | head -1
}

tflite() {
    [ -x "$DIR/tflite/python" ] && return
    needs python3.11 "install Python 3.11, the last that tflite-runtime has wheels for"
    python3.11 -m venv "$DIR/tflite/venv"
    "$DIR/tflite/venv/bin/pip" install --quiet --disable-pip-version-check \
        "tflite-runtime==2.14.0" "numpy<2" "$(pinned pillow)"
    cat >"$DIR/tflite/python" <<-EOF
		#!/bin/bash
		PYTHONPATH="$ROOT" exec "$DIR/tflite/venv/bin/python" "\$@"
	EOF
    chmod +x "$DIR/tflite/python"
}

# apt-get with lists and cache of its own, for arm64 or for this machine
apt_for() {
    local own=$DIR/aarch64/apt-$1
    mkdir -p "$own/state/lists/partial" "$own/cache/archives/partial"
    : >"$own/status"
    printf '%s\n' "APT::Architecture \"$1\";" "APT::Architectures { \"$1\"; };" "Dir::State \"$own/state\";" \
        "Dir::State::status \"$own/status\";" "Dir::Cache \"$own/cache\";" 'APT::Sandbox::User "root";' >"$own/conf"
    shift
    APT_CONFIG=$own/conf apt-get -qq "$@"
}

aarch64() {
    [ -x "$DIR/aarch64/python" ] && return
    needs apt-get "the arm64 Python comes from Debian's packages"
    needs dpkg "the arm64 Python comes from Debian's packages"
    local here=$DIR/aarch64 machine
    machine=$(dpkg --print-architecture)
    mkdir -p "$here/debs" "$here/qemu-debs" "$here/root/proc" "$here/site"
    apt_for arm64 update
    apt_for "$machine" update
    (cd "$here/debs" && apt_for arm64 download python3.11-minimal libpython3.11-minimal libpython3.11-stdlib \
        libc6 libstdc++6 libgcc-s1 zlib1g libexpat1 libssl3 libffi8 libbz2-1.0 liblzma5)
    (cd "$here/qemu-debs" && apt_for "$machine" download qemu-user-static)
    for deb in "$here"/debs/*.deb; do dpkg -x "$deb" "$here/root"; done
    for deb in "$here"/qemu-debs/*.deb; do dpkg -x "$deb" "$here/qemu"; done
    "$ROOT/.venv/bin/pip" install --quiet --disable-pip-version-check --target "$here/site" --no-deps \
        --only-binary=:all: --python-version 3.11 --implementation cp --abi cp311 --abi abi3 --abi none \
        --platform manylinux_2_28_aarch64 --platform manylinux_2_27_aarch64 --platform manylinux2014_aarch64 \
        "$(pinned ai-edge-litert)" "$(pinned numpy)" "$(pinned pillow)" "$(pinned flatbuffers)" \
        "$(pinned backports-strenum)" "$(pinned protobuf)" "$(pinned tqdm)" "$(pinned typing-extensions)"
    # qemu-user shows the emulated program this machine's processors, at which the runtime's own look at an
    # arm64 /proc/cpuinfo crashes: show it the cores of a Raspberry Pi 4 instead
    for core in $(seq 0 $(($(nproc --all) - 1))); do
        printf '%s\n' "processor : $core" "Features : fp asimd evtstrm crc32 cpuid" "CPU implementer : 0x41" \
            "CPU architecture: 8" "CPU variant : 0x0" "CPU part : 0xd08" "CPU revision : 3" ""
    done >"$here/root/proc/cpuinfo"
    cat >"$here/python" <<-EOF
		#!/bin/bash
		exec "$here/qemu/usr/bin/qemu-aarch64-static" -cpu "\${QEMU_CPU:-cortex-a72}" -L "$here/root" \\
		    -E PYTHONHOME="$here/root/usr" -E PYTHONPATH="$here/site:$ROOT" "$here/root/usr/bin/python3.11" "\$@"
	EOF
    chmod +x "$here/python"
}

tflite
aarch64
