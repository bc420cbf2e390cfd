"""`unisono models`: the models inside this package."""

from __future__ import annotations

from typing import Any

from unisono.cli import common
from unisono.errors import TokenError
from unisono.models import DEFAULT, embedded_models
from unisono.tokens import TokenLayout


def models(as_json: common.AsJson = False) -> None:
    """List embedded models."""
    from unisono.hub import read_config

    session = common.Session(as_json=as_json)
    found: list[dict[str, Any]] = []
    for name, folder in embedded_models().items():
        config = read_config(folder)
        megabytes = (folder / "model.safetensors").stat().st_size / 1e6
        entry = {
            "name": name,
            "default": name == DEFAULT,
            "system": config.get("system"),
            "megabytes": round(megabytes, 1),
            "folder": str(folder),
        }
        try:
            layout = TokenLayout.from_dict(config["layout"])
            entry["bits_per_second"] = round(layout.bits_per_second, 2)
            entry["tokens_per_second"] = layout.tokens_per_second
        except (KeyError, TokenError):
            # A config written by hand may leave the layout out; loading the model would tell.
            entry["bits_per_second"] = None
        found.append(entry)
    for entry in found:
        rate = entry["bits_per_second"]
        session.say(
            f"{entry['name']}{' (default)' if entry['default'] else ''}  {entry['system']}, "
            + (f"{entry['tokens_per_second']:g} tokens/s, {rate:g} bit/s, " if rate else "")
            + f"{entry['megabytes']:.1f} MB  {entry['folder']}"
        )
    session.say(
        ("" if found else "No model is embedded in this build. ")
        + "Any command also takes a model folder or a hub id (organisation/name) with --model."
    )
    session.finish({"models": found})
