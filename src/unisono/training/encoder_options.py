"""Options of the encoder stage."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from unisono.training.config import Section

TEXT_TASKS = ("asr", "caption", "emotion", "sap")
"""What a text decoder may be asked for."""


class VocabularySection(Section):
    """Which of Whisper's text tokens are kept."""

    least: int = Field(2, ge=1)
    """Those that come so often in the training texts, with what they are merged from."""
    first: int = Field(4000, ge=0)
    """So many of the most frequent ones of all languages."""


class FieldsSection(Section):
    """How the fields of SAPs are told from tokens; sizes of the network, and its values."""

    width: int = Field(default=256, ge=1)
    layers: int = Field(default=2, ge=0)
    least: int = Field(default=20, ge=1)
    """Values that come so often in the training data."""
    most: int = Field(default=64, ge=2)
    """So many of the commonest values of a field."""
    balance: float = Field(default=0.5, ge=0, le=1)
    """How much more an error of a rarer value costs; 1: all values of a field count alike."""
    rename: dict[str, str] = Field(default_factory=dict)
    """Other names for labels of events; an empty one: the label does not count."""
    voices: Path | None = None
    """Table of voices, which knows the gender of speakers in data without SAPs."""


class EncoderOptions(Section):
    """Options of the encoder stage."""

    encoder: dict[str, Any]
    """Encoder config in the reference's form."""
    whisper: Path | None = None
    """Folder of the Whisper model to start from (transformers' names); None: random weights."""
    start_from: Path | None = None
    """Run of this stage, or model (embedded name or folder), to go on from: every weight of equal
    name and shape, the codebook with its averages, the phoneme head's rows by symbol. Steps,
    schedule and data are this run's own."""
    cache: Path | None = None
    """Folder for the states of the frozen layers; None: features and states anew at every step."""
    frozen: int = Field(0, ge=0)
    """Layers that stay as they are, with the convolutions below them; 0: all are trained. With a
    cache, their output is what it holds."""
    unfreeze_from: int | None = Field(None, ge=0)
    """First step that trains the frozen layers too (only without a cache)."""
    int8_frozen: bool = True
    """Round layers that stay frozen to int8 at the start, so that shipping int8 changes nothing."""
    quantize_from: int = Field(200, ge=0)
    """First step with the quantizer; from the run's length on: a stage without it."""
    ctc_weight: float = Field(1.0, ge=0)
    mel_weight: float = Field(3.0, ge=0)
    text_weight: float = Field(0.0, ge=0)
    """Cross-entropy of Whisper's text decoder on the true text, where there is one."""
    distill_weight: float = Field(0.0, ge=0)
    """Divergence of the text decoder from the untouched Whisper on the teacher's own transcript
    (speech without text); made once, kept in `teacher` in the cache folder (or the run's)."""
    distill_transcribed: bool = False
    """Let the teacher follow the true text too, where there is one."""
    text_decoder: Literal["frozen", "trained"] = "frozen"
    """Whether Whisper's text decoder, with which it starts, is trained too."""
    batch_items: int | None = Field(None, ge=1)
    """Most sequences of a batch. What is told of whole clips counts by the clip: with no bound many
    short clips in one batch count as much as a few long ones in another."""
    fields_weight: float = Field(0.0, ge=0)
    """Cross-entropy of every field of the SAPs (speech or not, gender, events …), told from the
    tokens of a clip by a small network (ours): denser than SAPs written as text."""
    fields: FieldsSection = Field(default_factory=FieldsSection)
    summary_weight: float = Field(0.0, ge=0)
    """Error of mean and deviation, over two seconds, of the states that SAE takes from below
    (without it: those after the frozen layers), as the mean of the code vectors there tells them
    (ours): what lasts, voices and kinds of sound, also of clips that nobody has labelled. In units
    of variance."""
    states_weight: float = Field(0.0, ge=0)
    """Error of what the text decoder attends to against the untouched Whisper's own final states,
    on every frame, as a share of their variance (ours): far denser than text."""
    train: Literal["all", "reader"] = "all"
    """reader: encoder and codebook stay as they are, only what reads the tokens is trained."""
    text_top: list[int] = Field(default_factory=list)
    """Whisper's encoder layers, from 1, with which those between tokens and text decoder start;
    none named: those above the quantizer."""
    text_bridge: bool = False
    """Let the text decoder hear the mel head's frames through Whisper's whole encoder, which stays
    as it is but for its last `text_trained` layers, instead of layers that read code vectors."""
    text_trained: int = Field(0, ge=0)
    text_layers: list[int] = Field(default_factory=list)
    """Layers of Whisper's text decoder that are kept, from 1; none named: all."""
    text_tokens: Path | None = None
    """A `tokenizer.json` with fewer tokens, such as an earlier run's; None: see next."""
    text_vocabulary: VocabularySection | None = None
    """How to reduce Whisper's vocabulary to what the data's texts need; None: all of it."""
    tasks: dict[str, float] = Field(default_factory=lambda: dict.fromkeys(TEXT_TASKS, 1.0))
    """Shares in which a sequence is read as this or that, where it has several texts; those left
    out: never."""
    text_languages: list[str] = Field(default_factory=list)
    """Languages whose speech is read as transcripts (BCP 47); none named: all of Whisper's."""
    text_share: float = Field(1.0, gt=0, le=1)
    """Share of the sequences that the text decoder reads at a step, drawn anew each time."""
    phoneme_head: dict[str, Any] = Field(default_factory=dict)
    mel_head: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check(self) -> EncoderOptions:
        if self.cache is not None and not self.frozen:
            raise ValueError("cache holds states of frozen layers: set frozen, or cache: null")
        if self.cache is not None and self.unfreeze_from is not None:
            raise ValueError("unfreeze_from needs the layers themselves: set cache: null")
        pooled = self.encoder.get("pooling_position", 0) <= self.frozen
        for name in ("states_weight", "summary_weight"):
            if getattr(self, name) and not (self.frozen and pooled and self.unfreeze_from is None):
                raise ValueError(f"{name} needs frozen layers, with the pooling among them")
        if self.text_bridge and (self.text_top or self.states_weight):
            raise ValueError("text_bridge takes all of Whisper's encoder: no text_top, no "
                             "states_weight")  # fmt: skip
        for task, share in self.tasks.items():
            if task not in TEXT_TASKS or not share >= 0:
                raise ValueError(f"tasks: {task}: {share} is not a share (0 or more) of one of "
                                 f"{', '.join(TEXT_TASKS)}")  # fmt: skip
        return self
