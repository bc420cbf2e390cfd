"""From a name, a folder or a hub id to a tokenizer, without ever running code that was loaded."""

from __future__ import annotations

import json
import re
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from unisono.errors import ConfigError, ModelError
from unisono.models import DEFAULT, embedded_models

if TYPE_CHECKING:
    from unisono.tokenizer import AudioTokenizer

# system name -> module with `recognises`, `load` and `save`; imported only when needed.
# A new system is one new package folder and one line here.
SYSTEMS = {"uniaudio": "unisono.uniaudio.folder", "unicodec": "unisono.unicodec.folder"}

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
# Weights and configs only: no Python, and no pickles but the two of the reference release, which
# are read with weights_only.
_HUB_PATTERNS = [
    "*.json",
    "*.safetensors",
    "decoder/config.yaml",
    "decoder/flow.pt",
    "decoder/hift.pt",
]


class SystemModule(Protocol):
    """What a system's `folder` module offers."""

    def recognises(self, folder: Path) -> bool:
        """Whether `folder` is laid out like a published checkpoint of this system."""

    def load(self, folder: Path, decoder: bool) -> AudioTokenizer:
        """Build the tokenizer in `folder` (our format or a published one), float32 on CPU."""

    def save(self, tokenizer: Any, folder: Path, int8: bool) -> None:
        """Write the tokenizer in our format."""


def load(
    name: str | Path = DEFAULT,
    *,
    device: str = "cpu",
    dtype: str = "float32",
    int8: bool = False,
    revision: str | None = None,
    decoder: bool = True,
) -> AudioTokenizer:
    """Load a tokenizer.

    Args:
        name: an embedded model (`unisono models` lists them), a local folder (our format, or laid
            out like the release of UniAudio-Token or the GLM-4-Voice tokenizer), or a hub id
            `organisation/name`.
        device: "cpu", "cuda", "mps", …, or "auto" for the best one present.
        dtype: "float32", "float16", "bfloat16", or "auto": half precision on GPUs that do it well,
            float32 elsewhere.
        int8: run the encoder's linear layers in int8 (CPU only): faster, some tokens change.
        revision: branch, tag or commit of a hub id.
        decoder: False leaves the decoder out (less memory; `decode` then refuses).

    Raises:
        ModelError: unknown name, missing or damaged files, or files that could contain code.
    """
    folder = resolve(name, revision)
    tokenizer = _system_of(folder).load(folder, decoder)
    chosen = pick_device(device)
    if int8 and chosen != "cpu":
        raise ConfigError(f"int8 runs on the CPU only, not on '{chosen}'; leave int8 out.")
    if int8 and dtype not in ("float32", "auto"):
        raise ConfigError(f"int8 goes with float32, not with {dtype}; leave one of them out.")
    tokenizer.to(device=chosen, dtype=pick_dtype(dtype, chosen))
    if int8:
        tokenizer.use_int8()
    return tokenizer


def save(tokenizer: AudioTokenizer, folder: str | Path, int8: bool = False) -> Path:
    """Write `tokenizer` into `folder` in our format (config.json, model.safetensors).

    A model that reads text has text.safetensors and tokenizer.json too.

    `int8` stores the large matrices as int8 with fp16 scales per row: a quarter of the size; they
    are computed in float32 after loading.
    """
    target = Path(folder)
    _module(tokenizer.system).save(tokenizer, target, int8)
    return target


def resolve(name: str | Path, revision: str | None = None) -> Path:
    """The folder that holds model `name`; downloads a hub id; `ModelError` for unknown names."""
    embedded = embedded_models()
    if str(name) in embedded:
        return embedded[str(name)]
    path = Path(name).expanduser()
    if path.is_dir():
        return path
    if path.is_file():
        raise ModelError(f"{path} is a file; give the model's folder.")
    if isinstance(name, str) and _HUB_ID.fullmatch(name) and not name.startswith("."):
        return _download(name, revision)
    known = ", ".join(embedded) or "none in this build"
    raise ModelError(
        f"There is no model '{name}'. Embedded models: {known}. Also possible: the path of a "
        "model folder, or a hub id such as 'organisation/name'."
    )


def read_config(folder: Path) -> dict[str, Any]:
    """`config.json` of a model folder; `ModelError` if it is missing or not a JSON object."""
    return read_json(folder / "config.json")


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object of a model folder; `ModelError` if it is missing or something else."""
    if not path.is_file():
        raise ModelError(f"The model folder {path.parent} has no {path.name}; restore the file.")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} is not readable JSON ({error}); restore the file.") from error
    if not isinstance(values, dict):
        raise ModelError(f"{path} holds {type(values).__name__}, not a JSON object.")
    return values


def pick_device(device: str) -> str:
    """`device`, checked for being present; "auto" gives cuda, mps or cpu."""
    import torch

    if device == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        kind = torch.device(device).type
    except RuntimeError as error:
        raise ConfigError(f"'{device}' is no device; use cpu, cuda, mps or auto.") from error
    missing = (kind == "cuda" and not torch.cuda.is_available()) or (
        kind == "mps" and not torch.backends.mps.is_available()
    )
    if missing:
        raise ConfigError(f"Device '{device}' is not available here; use cpu or auto.")
    return device


def pick_dtype(dtype: str, device: str) -> Any:
    """torch dtype of a name; "auto" is float32 on CPU and mps, bfloat16 or float16 on cuda."""
    import torch

    if dtype == "auto":
        if not device.startswith("cuda"):
            return torch.float32
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    known = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
    if dtype not in known:
        raise ConfigError(f"'{dtype}' is no number format; use {', '.join(known)} or auto.")
    return known[dtype]


def _system_of(folder: Path) -> SystemModule:
    """The system whose checkpoint lies in `folder`."""
    if (folder / "config.json").is_file():
        config = read_config(folder)
        if config.get("format") == "unisono":
            if config.get("version") != 1:
                raise ModelError(
                    f"{folder} has format version {config.get('version')!r}; this unisono reads "
                    "version 1. Update unisono."
                )
            return _module(str(config.get("system")))
    for system in SYSTEMS:
        module = _module(system)
        if module.recognises(folder):
            return module
    raise ModelError(
        f"{folder} is not a model folder that unisono knows: it needs config.json and "
        "model.safetensors, or tokenizer/ and decoder/ as in the release of UniAudio-Token."
    )


def _module(system: str) -> SystemModule:
    if system not in SYSTEMS:
        raise ModelError(f"Unknown system '{system}'; this unisono has {', '.join(SYSTEMS)}.")
    return cast(SystemModule, import_module(SYSTEMS[system]))


def _download(name: str, revision: str | None) -> Path:
    """Fetch weights and configs of a hub id; cached by huggingface_hub."""
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=list(_HUB_PATTERNS)))
    except Exception as error:  # many kinds: HTTP, offline, missing repository, bad revision
        reason = str(error).strip().split("\n")[0]
        raise ModelError(
            f"Could not get '{name}' from the Hugging Face hub ({type(error).__name__}: {reason}). "
            "Check the name and the network, or download the folder elsewhere and give its path; "
            f"embedded models work offline: {', '.join(embedded_models()) or 'none'}."
        ) from error
