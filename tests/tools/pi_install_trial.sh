#!/usr/bin/env bash
# Runs hw/install_pi.sh in Debian bookworm and trixie, with their own Python and numpy, and reads the drive-by clip:
#   sudo tests/tools/pi_install_trial.sh [FOLDER]        needs mmdebstrap and the package registry; some minutes
# Raspberry Pi's own packages are not Debian's, so picamera2 is a module that refuses another numpy than the system's.
set -euo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)
folder=${1:-$(mktemp -d)}
clean=(env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root PIP_CERT=/etc/ssl/certs/ca-certificates.crt)
for suite in bookworm trixie; do
  root=$folder/$suite
  [ -d "$root/usr" ] || mmdebstrap --quiet --variant=apt \
    --include=python3,python3-venv,python3-numpy,ca-certificates "$suite" "$root" http://deb.debian.org/debian
  cp /etc/resolv.conf /etc/hosts "$root/etc/"
  cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
  mkdir -p "$root/src"
  git -C "$here" archive HEAD | tar -x -C "$root/src"
  cat >"$root/usr/lib/python3/dist-packages/picamera2.py" <<'PY'
import numpy

if not numpy.__file__.startswith("/usr/lib/python3/"):
    raise ValueError("numpy.dtype size changed, may indicate binary incompatibility")
PY
  mount --bind /dev "$root/dev"
  mount -t proc proc "$root/proc"
  status=0
  "${clean[@]}" ALPR_NO_APT=1 ALPR_ANY_MACHINE=1 chroot "$root" /src/hw/install_pi.sh /opt/alpr &&
    "${clean[@]}" chroot "$root" /opt/alpr/bin/reader --home /tmp/home init &&
    "${clean[@]}" chroot "$root" /opt/alpr/bin/reader --home /tmp/home run --source /src/tests/replay/drive_by --once ||
    status=$?
  umount "$root/proc" "$root/dev"
  [ "$status" = 0 ] || { echo "$suite: failed" >&2; exit 1; }
  echo "$suite: installed, and read the clip"
done
