"""`unisono compose`: labelled scenes as Parquet, and the table of voices that they need."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unisono.cli.common import Quiet, Session, check_choice
from unisono.errors import ConfigError

if TYPE_CHECKING:
    from unisono.sap.scene_config import SceneConfig

_FIELDS = ("sap", "caption", "text", "emotion")


def compose(
    config: Annotated[Path, typer.Argument(help="YAML config of scenes, see docs/sap.md.")],
    out: Annotated[
        Path | None, typer.Argument(help="Folder for the Parquet files and their list.")
    ] = None,
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="Scenes to write.")] = 1000,
    rows: Annotated[int, typer.Option(min=1, help="Scenes in a file.")] = 512,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same scenes.")] = 0,
    split: Annotated[
        str | None, typer.Option(help="train, valid or eval, in place of the config's.")
    ] = None,
    fields: Annotated[
        str, typer.Option(help="Columns beside the audio: sap,caption,text,emotion.")
    ] = "sap",
    weight: Annotated[int, typer.Option(min=1, max=1000, help="In the list file.")] = 1,
    voices: Annotated[
        bool, typer.Option("--voices", help="Measure the config's speakers: make the table.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Compose scenes whose labels are true by construction; a stopped run goes on."""
    from unisono.sap.scene_config import load_scene_config

    session = Session(quiet=quiet)
    parsed = load_scene_config(config)
    if split is not None:
        check_choice("split", split, ("train", "valid", "eval"))
        parsed = parsed.model_copy(update={"split": split})
    if voices:
        _voices(parsed, config, session)
        return
    if out is None:
        raise ConfigError("compose needs a folder for its scenes: unisono compose CONFIG FOLDER")
    from unisono.sap.compose import SceneSet
    from unisono.sap.parquet import write_scenes

    chosen = [
        check_choice("field", name.strip(), _FIELDS) for name in fields.split(",") if name.strip()
    ]
    scenes = SceneSet(parsed, seed)
    with session.progress("scenes", count) as done:
        listed = write_scenes(scenes, out, count, rows, chosen, weight, done)  # type: ignore[arg-type]
    session.say(f"{count} scenes -> {listed}")


def _voices(config: SceneConfig, path: Path, session: Session) -> None:
    """Measure every speaker of the speech sources; stated lines of an old table stay."""
    from unisono.data.dataset import ClipSet
    from unisono.sap.speakers import measure_voices, read_voices, split_factor, write_voices

    table, sources = config.speech.speakers, config.speech.sources
    if table is None or not sources:
        raise ConfigError(f"{path}: set speech.sources, and speech.speakers to the table's file")
    clips = ClipSet(sources, config.speech.kinds, config.speech.weights, config.rate, config.split)
    known = read_voices(table) if table.exists() else {}
    names = {split_factor(item.speaker)[0] for item in clips.items if item.speaker}
    with session.progress("voices", len(names)) as done:
        found = measure_voices(clips, known, done=done)
    write_voices(table, found.values())
    told = sum(voice.gender is not None for voice in found.values())
    session.say(f"{len(found)} voices, gender known of {told} -> {table}")
