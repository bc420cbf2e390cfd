"""User-facing errors: one sentence each, with the file, the problem and the way out."""

from __future__ import annotations

import importlib
from types import ModuleType

__all__ = [
    "AudioError",
    "ConfigError",
    "DataError",
    "MissingExtraError",
    "ModelError",
    "TokenError",
    "UnisonoError",
    "require_extra",
]


class UnisonoError(Exception):
    """Something the user can put right; the base of every error that unisono raises on purpose."""


class AudioError(UnisonoError):
    """Audio that cannot be read, written or used."""


class TokenError(UnisonoError):
    """Tokens, flat ids or a `.utok` file that do not fit their layout."""


class ModelError(UnisonoError):
    """A model that is unknown, incomplete, damaged or of another kind than asked for."""


class ConfigError(UnisonoError):
    """A configuration with an unknown key, a wrong value or a class that is not ours."""


class DataError(UnisonoError):
    """A data set, manifest or folder that cannot be used as it is."""


class MissingExtraError(UnisonoError, ImportError):
    """A package is missing that one of unisono's extras installs."""


def require_extra(module: str, extra: str) -> ModuleType:
    """Import `module` (dotted names allowed), which the extra `extra` of unisono installs.

    Raises `MissingExtraError` with the command to run when the package is missing, and with the
    reason as well when it is installed but its import fails.
    """
    way_out = f"pip install 'unisono[{extra}]'"
    try:
        return importlib.import_module(module)
    except ImportError as error:
        wanted = module.partition(".")[0]
        if (
            isinstance(error, ModuleNotFoundError)
            and error.name
            and (error.name.partition(".")[0] == wanted)
        ):
            raise MissingExtraError(f"{module} needs the '{extra}' extra: {way_out}") from None
        raise MissingExtraError(
            f"{module} of the '{extra}' extra is installed but fails to import ({error}): "
            f"reinstall it with {way_out}"
        ) from error
