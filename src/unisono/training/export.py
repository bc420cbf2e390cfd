"""From finished runs to a model folder that `unisono.load` takes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from unisono.errors import ConfigError
from unisono.synthesis.convolution import TokenConvolutions
from unisono.synthesis.decoder import SpeechDecoder
from unisono.synthesis.mel import MelConfig, MelSpectrogram
from unisono.synthesis.voice import voice_vector
from unisono.training.config import load_config, parse_options
from unisono.training.embed_whisper import whisper_describer
from unisono.training.encoder_options import EncoderOptions
from unisono.training.encoder_start import build_encoder
from unisono.training.field_targets import FIELDS, read_values
from unisono.training.state import module_weights
from unisono.training.tasks.flow import FlowOptions
from unisono.training.tasks.unicodec import UniCodecOptions
from unisono.training.tasks.vocoder import VocoderOptions
from unisono.training.text_start import reader_config, whisper_config
from unisono.training.text_supervision import bridge_sizes
from unisono.training.text_targets import TOKENIZER
from unisono.uniaudio import LogMelFeatures, UniAudioConfig, UniAudioEncoder
from unisono.uniaudio.describing import Describer
from unisono.uniaudio.field_reader import FieldReader
from unisono.uniaudio.folder import save
from unisono.uniaudio.hearing import MelTop
from unisono.uniaudio.reading import TokenReader, top_weights
from unisono.uniaudio.text_tokens import TextTokens
from unisono.uniaudio.tokenizer import UniAudioTokenizer
from unisono.unicodec import folder as unicodec_folder
from unisono.unicodec.config import UniCodecConfig
from unisono.unicodec.model import UniCodec
from unisono.unicodec.tokenizer import UniCodecTokenizer


def assemble(
    encoder_run: Path,
    folder: Path,
    model_id: str,
    flow_run: Path | None = None,
    vocoder_run: Path | None = None,
    decoding: dict[str, Any] | None = None,
    pitch_run: Path | None = None,
    voices: Mapping[str, Tensor] | None = None,
    int8: bool = True,
    reader_run: Path | None = None,
    int4: bool = False,
    hearing_run: Path | None = None,
    whisper_reader: Path | None = None,
    fields_run: Path | None = None,
) -> Path:
    """Write a UniAudio model folder from the newest checkpoints of its stages.

    An encoder run with a trained text decoder gives the model its reader as well.

    Args:
        encoder_run, flow_run, vocoder_run: run folders; without the last two the model encodes
            only.
        reader_run: run of the encoder stage whose text decoder is taken, if not `encoder_run`.
        hearing_run: run of the encoder stage whose mel head tells the frames that a Whisper hears.
        whisper_reader: folder of a Whisper that becomes the model's reader as it is, in place of
            a trained one; it hears the frames that `hearing_run` tells.
        fields_run: run of the fields or encoder stage that learnt to tell fields of SAPs, if not
            `encoder_run`.
        pitch_run: run of the pitch stage, whose F0 predictor replaces the vocoder's own.
        model_id: what the tokens will name as their model.
        decoding: sampling defaults, see `synthesis.decoder.DecoderConfig`.
        voices: recordings `[n]` at the decoder's rate, for flow decoders that take a voice.
        int8: store the matrices of encoder and flow decoder as int8; the flow stage trained on the
            tokens of the rounded encoder.
        int4: store the layers of the text decoder as int4.

    Raises:
        DataError: a run has no whole checkpoint.
        ConfigError: `whisper_reader` without `hearing_run`, or both readers, or one of another
            width.
    """
    if whisper_reader is not None and (hearing_run is None or reader_run is not None):
        raise ConfigError("whisper_reader needs hearing_run, and takes the place of reader_run")
    encoder = _encoder(encoder_run)
    decoder = None
    if flow_run is not None and vocoder_run is not None:
        flow, vocoder = _options(flow_run, FlowOptions), _options(vocoder_run, VocoderOptions)
        mel = MelSpectrogram(MelConfig(**flow.mel))
        vectors = {
            name: [round(number, 4) for number in voice_vector(mel(wave[None])[0]).tolist()]
            for name, wave in (voices or {}).items()
        }
        decoder = SpeechDecoder.from_config(
            {
                **(decoding or {}),
                "flow": flow.flow,
                "hift": vocoder.vocoder,
                "mel": flow.mel,
                "voices": vectors,
            }
        )
        decoder.flow.load_state_dict(module_weights(flow_run)["flow"])
        decoder.vocoder.load_state_dict(module_weights(vocoder_run)["vocoder"])
        if pitch_run is not None:
            predictor = module_weights(pitch_run)["f0_predictor"]
            decoder.vocoder.f0_predictor.load_state_dict(predictor)
    features = LogMelFeatures(n_mels=encoder.config.num_mel_bins)
    bridge = None if hearing_run is None else _bridge(hearing_run)
    fields = _fields(encoder_run if fields_run is None else fields_run)
    if whisper_reader is not None and bridge is not None:
        position = encoder.config.quantize_position
        text: Describer | None = whisper_describer(whisper_reader, bridge, position)
    else:
        text = _text(reader_run or encoder_run)
    tokenizer = UniAudioTokenizer(
        encoder, features, decoder, model_id, text, bridge=bridge, fields=fields
    )
    save(tokenizer, folder, int8, int4)
    return folder


def renew(
    model: str | Path,
    folder: Path,
    encoder_run: Path,
    flow_run: Path | None = None,
    hearing_run: Path | None = None,
    fields_run: Path | None = None,
    int8: bool = True,
    int4: bool = True,
) -> Path:
    """Write a UniAudio model anew with what runs have trained of it; see `assemble`.

    What no run is named for stays as the model has it. Code statistics are left out: they were of
    other tokens.

    Args:
        model: embedded name or folder.

    Raises:
        DataError: a run has no whole checkpoint.
        ConfigError: a model of another system, or a part of other sizes than the model's.
    """
    from unisono import hub

    old = hub.load(str(model))
    if not isinstance(old, UniAudioTokenizer):
        raise ConfigError(f"{model}: a model of system {old.system}; only uniaudio's are renewed")
    encoder = _encoder(encoder_run)
    bridge, text = old.bridge, old.describer
    if hearing_run is not None:
        bridge = _bridge(hearing_run)
        if text is not None and isinstance(text.reader.top, MelTop):
            _take(text.reader.top.bridge, bridge.state_dict(), "hearing_run")
    if flow_run is not None:
        if old.decoder is None:
            raise ConfigError(f"{model} has no decoder, so it has no place for flow_run")
        _take(old.decoder.flow, module_weights(flow_run)["flow"], "flow_run")
    fields = old.fields if fields_run is None else _fields(fields_run)
    tokenizer = UniAudioTokenizer(
        encoder, old.features, old.decoder, old.model_id, text, bridge=bridge, fields=fields
    )
    save(tokenizer, folder, int8, int4)
    return folder


def _take(module: nn.Module, weights: Mapping[str, Tensor], name: str) -> None:
    try:
        module.load_state_dict(weights)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise ConfigError(f"{name}: of other sizes than the model's part ({reason})") from error


def assemble_unicodec(run: Path, folder: Path, model_id: str, int8: bool = True) -> Path:
    """Write a UniCodec model folder from a run's newest checkpoint; see `assemble`."""
    options: UniCodecOptions = _options(run, UniCodecOptions)
    model = UniCodec(UniCodecConfig.from_dict(options.model))
    model.load_state_dict(module_weights(run)["codec"])
    unicodec_folder.save(UniCodecTokenizer(model, model_id), folder, int8)
    return folder


def _encoder(run: Path) -> UniAudioEncoder:
    """The encoder of an encoder run."""
    options = _options(run, EncoderOptions)
    encoder = build_encoder(options.model_copy(update={"whisper": None}))
    encoder.load_state_dict(module_weights(run)["encoder"])
    return encoder


def _bridge(run: Path) -> TokenConvolutions:
    """The mel head of an encoder run."""
    weights, options = module_weights(run)["mel_head"], _options(run, EncoderOptions)
    dim, out = weights["inward.weight"].shape[1], len(weights["outward.weight"])
    bridge = TokenConvolutions(dim, out, **options.mel_head)
    bridge.load_state_dict(weights)
    return bridge


def _fields(run: Path) -> FieldReader | None:
    """What tells SAP's fields by a run's weights; None if it learnt none."""
    weights = module_weights(run).get("field_reader")
    if weights is None:
        return None
    width, dim = weights["body.inward.weight"].shape
    layers = sum(name.startswith("body.convs.") and name.endswith("weight") for name in weights)
    whole = "whole.outward.weight" in weights
    reader = FieldReader(dim, read_values(run / FIELDS), width, layers, whole)
    reader.load_state_dict(weights)
    return reader


def _text(run: Path) -> Describer | None:
    """What reads text by an encoder run's weights; None if the run trained no text decoder."""
    weights = module_weights(run)
    if "text_decoder" not in weights:
        return None
    options = _options(run, EncoderOptions)
    tokens = TextTokens.from_file(run / TOKENIZER)
    whisper, _ = whisper_config(options.whisper)
    position = UniAudioConfig.from_reference(options.encoder).quantize_position
    bridge = bridge_sizes(options)
    reader = TokenReader(
        reader_config(whisper, tokens, options.text_layers, position, options.text_top, bridge)
    )
    top = weights.get("text_top")
    if bridge is not None:
        parts = {"ears": weights["text_top"], "bridge": weights["mel_head"]}
        top = {f"{part}.{name}": t for part, own in parts.items() for name, t in own.items()}
    if top is None:  # the encoder itself has the layers above its quantizer
        top = top_weights(weights["encoder"], position)
    decoder = {name.removeprefix("decoder."): t for name, t in weights["text_decoder"].items()}
    reader.load_parts(top, decoder)
    return Describer(reader, tokens)


def _options(run: Path, section: Any) -> Any:
    config = load_config(run / "config.yaml")
    return parse_options(section, config.options, config.task)
