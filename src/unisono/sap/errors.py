"""What reading SAP raises."""

from __future__ import annotations

from unisono.errors import DataError


class SapError(DataError):
    """A text that is no SAP; the message names the field, or the place in the JSON."""
