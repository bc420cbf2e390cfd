#!/usr/bin/env sh
# Tokenizes a real recording with the embedded model, and reconstructs it from the tokens.
set -eu
"$(dirname "$0")/setup.sh"
cd "$(dirname "$0")/.."
"${UNISONO_VENV:-.venv}/bin/unisono" roundtrip examples/speech.wav -o reconstruction.wav
