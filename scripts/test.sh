#!/usr/bin/env sh
# Sets up everything that the tests need and runs them; arguments go to pytest.
set -eu
"$(dirname "$0")/setup.sh" dev
cd "$(dirname "$0")/.."
"${UNISONO_VENV:-.venv}/bin/python" -m pytest "$@"
