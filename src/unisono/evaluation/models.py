"""Where the models that score audio lie on this machine; nothing is downloaded here."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from unisono.errors import DataError, MissingExtraError

WHISPER_FOLDERS = ("whisper-base-ct2", "whisper-base")


def find_whisper(given: Path | None, near: Path) -> Path:
    """The folder of Whisper base: `given`, or `models/whisper-base-ct2` in `near` or here.

    Raises `DataError` with the command that makes it.
    """
    homes = (near / "models", Path("models"), near)
    choices = [given] if given else [home / name for home in homes for name in WHISPER_FOLDERS]
    for folder in choices:
        if (folder / "config.json").is_file():
            return folder
    looked = given or f"{near / 'models'} and ./models"
    raise DataError(
        f"No Whisper model in {looked}; make one with "
        f"`python -m recipes.whisper --out {near / 'models'}` and give its folder as --asr."
    )


def dnsmos_file() -> Path:
    """The DNSMOS P.808 network (ONNX) inside the speechmos package, which is not imported.

    Importing speechmos would need packages that it does not declare.
    """
    spec = importlib.util.find_spec("speechmos")
    folders = list(spec.submodule_search_locations or ()) if spec else []
    for folder in folders:
        path = Path(folder) / "dnsmos_models" / "model_v8.onnx"
        if path.is_file():
            return path
    raise MissingExtraError("DNSMOS needs the 'eval' extra: pip install 'unisono[eval]'")
