#!/usr/bin/env bash
# Installs the reader on Raspberry Pi OS, 64-bit, beside the system's own camera library:
#   hw/install_pi.sh [FOLDER]          a virtual environment in FOLDER (default /opt/alpr), and FOLDER/bin/reader
#   hw/install_pi.sh --print-lock      what it installs from the lock file, and nothing else
#
# bookworm (Python 3.11, numpy 1.24) and trixie (Python 3.13, numpy 2.2); Pi 4, Pi 5, Compute Module 4 and 5, Zero 2 W
# with a small camera. 32-bit has no LiteRT. picamera2 comes with the system, and its libraries are compiled against
# the system's numpy: so the environment sees the system's packages, and the lock's numpy is held back.
# Environment: ALPR_NO_APT=1 installs no Debian package; ALPR_ANY_MACHINE=1 goes on where this is no Raspberry Pi.
set -euo pipefail

here=$(cd "$(dirname "$0")/.." && pwd)
lock=$here/image-build/packages/device.lock
# The system's, never the lock's: what the camera library's native code was compiled against.
held='numpy'
# of the lock, of no use here
left_out='pip'
debian=(python3-venv python3-picamera2 python3-kms++ python3-gpiozero python3-lgpio)

print_lock() {
  awk -v names="^($held|$left_out)==" '/^[A-Za-z0-9]/ { keep = ($0 !~ names) } keep && !/^ *#/' "$lock"
}

refuse() { echo "install_pi: $1" >&2; exit "${2:-2}"; }

[ "${1:-}" = --print-lock ] && { print_lock; exit; }
folder=${1:-/opt/alpr}
[ "$(uname -m)" = aarch64 ] || [ -n "${ALPR_ANY_MACHINE:-}" ] ||
  refuse "this is $(uname -m), not a 64-bit Raspberry Pi OS: flash the 64-bit image" 3
python=$(command -v python3) || refuse "python3 not found" 3
"$python" -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 13)))' ||
  refuse "Python 3.11 (bookworm) or 3.13 (trixie) is needed; this is $("$python" --version)" 3

if [ -z "${ALPR_NO_APT:-}" ]; then
  sudo=$([ "$(id -u)" = 0 ] || echo sudo)
  $sudo apt-get update
  $sudo apt-get install --yes --no-install-recommends "${debian[@]}"
fi

"$python" -m venv --system-site-packages "$folder"
print_lock >"$folder/unit.lock"
# --no-deps: the lock is complete, and numpy, which pip would otherwise fetch, is the system's
"$folder/bin/pip" install --quiet --no-deps --require-hashes -r "$folder/unit.lock"
"$folder/bin/pip" install --quiet --no-deps "$here"

"$folder/bin/python" - <<'PY'
import numpy, sys
print(f"numpy {numpy.__version__} of {numpy.__file__.rsplit('/numpy/', 1)[0]}")
if sys.prefix in numpy.__file__:
    sys.exit("install_pi: a numpy of the environment hides the system's: remove it there")
PY
"$folder/bin/reader" --version
"$folder/bin/python" -c '
import sys
from hw.camera_pi import load_picamera2
from hw.errors import MissingDriverError
try:
    load_picamera2()
    print("picamera2 loads")
except MissingDriverError as error:
    print(f"install_pi: {error}", file=sys.stderr)
    sys.exit(3)
'
