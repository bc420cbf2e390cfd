#!/usr/bin/env sh
# Makes .venv beside this folder with unisono in it. Usage: scripts/setup.sh [EXTRAS]
# Debian and Ubuntu; what is already there is kept. Set UNISONO_VENV for another place.
set -eu
cd "$(dirname "$0")/.."
venv="${UNISONO_VENV:-.venv}"
extras="${1:-av,plot}"
if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
    as_root=""
    [ "$(id -u)" = 0 ] || as_root="sudo"
    $as_root apt-get update -q
    $as_root apt-get install -y -q --no-install-recommends python3 python3-venv
fi
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -m pip install -q --disable-pip-version-check -c constraints.txt -e ".[$extras]"
