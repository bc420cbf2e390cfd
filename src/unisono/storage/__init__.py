"""Files on disk: atomic writing, packed tokens, weights, sources of audio."""
