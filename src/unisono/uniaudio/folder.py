"""UniAudio model folders: our own format, and published layouts; loading and saving.

Our format: `config.json` (sections encoder, features, flow, vocoder, mel, decoding, text, hearing,
fields) and `model.safetensors` with the prefixes `encoder.`, `flow.`, `vocoder.`, reference tensor
names; what reads text lies apart, see `text_folder`, and so does what tells mel frames of tokens,
`hearing.safetensors`, or fields of SAPs, `fields.safetensors`. Positions that are Whisper's are not
stored, section `sinusoids` has their sizes. Any folder may hold code statistics,
`codes.safetensors`.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from unisono.errors import ModelError
from unisono.hub import read_config
from unisono.storage.atomic import write_bytes
from unisono.storage.entropy import FILE_NAME, model_statistics
from unisono.storage.weights import LARGE, large_matrices, load_weights, save_weights
from unisono.synthesis.convolution import TokenConvolutions
from unisono.uniaudio import release, text_folder
from unisono.uniaudio.config import UniAudioConfig
from unisono.uniaudio.encoder import UniAudioEncoder
from unisono.uniaudio.features import LogMelFeatures
from unisono.uniaudio.field_folder import open_fields, save_fields
from unisono.uniaudio.hearing import bridge_sizes
from unisono.uniaudio.positions import with_sinusoids, without_sinusoids
from unisono.uniaudio.reference import reference_state
from unisono.uniaudio.shared_weights import BRIDGE
from unisono.uniaudio.text_folder import HEARING, MODEL
from unisono.uniaudio.tokenizer import UniAudioTokenizer

if TYPE_CHECKING:
    from unisono.synthesis.decoder import SpeechDecoder
    from unisono.uniaudio.describing import Describer

logger = logging.getLogger(__name__)

VERSION = 1
_SECTIONS = {"format", "version", "system", "model_id", "layout", "encoder", "features"}
_DECODER_SECTIONS = {"flow", "vocoder", "mel", "decoding"}
_OPTIONAL = {"card", "text", "hearing", "fields", "sinusoids"} | _DECODER_SECTIONS
# Only training reads these; an inference model without them needs no running averages.
_TRAINING_STATE = {"quantize_ema_decay": None, "quantize_restart_interval": None}


def recognises(folder: Path) -> bool:
    """Whether `folder` is a release (tokenizer/, decoder/) or a published tokenizer alone."""
    return (folder / "tokenizer").is_dir() or release.is_tokenizer_folder(folder)


def load(folder: Path, decoder: bool = True) -> UniAudioTokenizer:
    """The tokenizer in `folder`, float32 on CPU, in our format or a published layout."""
    own = folder / "config.json"
    ours = own.is_file() and read_config(folder).get("format") == "unisono"
    tokenizer = _load_own(folder, decoder) if ours else _load_release(folder, decoder)
    tokenizer.statistics = model_statistics(folder, tokenizer.layout)
    return tokenizer


def save(
    tokenizer: UniAudioTokenizer, folder: Path, int8: bool = False, int4: bool = False
) -> None:
    """Write `config.json`, the weights and a vocabulary; see `unisono.hub.save` for int8.

    int4: store the layers of the text decoder with 4 bits a weight, and a scale for 64 columns.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config: dict[str, Any] = {
        "format": "unisono",
        "version": VERSION,
        "system": tokenizer.system,
        "model_id": tokenizer.model_id,
        "layout": tokenizer.layout.to_dict(),
        "encoder": _encoder_dict(tokenizer.encoder.config),
        "features": tokenizer.features.to_preprocessor_config(),
    }
    skipped = ("ema_count", "ema_weight", "codebook_used")
    state = {
        f"encoder.{name}": tensor
        for name, tensor in reference_state(tokenizer.encoder).items()
        if name not in skipped
    }
    own, decoder = dict(state), tokenizer.decoder
    if decoder is not None:
        values = decoder.config.to_dict()
        config["flow"], config["vocoder"] = values.pop("flow"), values.pop("hift")
        config["mel"], config["decoding"] = values.pop("mel"), values
        state |= {f"flow.{n}": t for n, t in decoder.flow.state_dict().items()}
        state |= {f"vocoder.{n}": t for n, t in decoder.vocoder.state_dict().items()}
    rows = tuple(name for name, tensor in state.items() if _goes_int8(name, tensor)) if int8 else ()
    if int8:
        state = {n: t if n in rows or t.numel() < LARGE else t.half() for n, t in state.items()}
    state, left = without_sinusoids(state)
    if left:
        config["sinusoids"] = left
    # Opened before the weights that it may have in common with the model are written anew.
    describer = tokenizer.describer
    save_weights(folder / MODEL, state, int8=rows)
    if tokenizer.bridge is not None:
        config["hearing"] = save_bridge(tokenizer.bridge, folder, int8)
        own |= {BRIDGE + name: t for name, t in tokenizer.bridge.state_dict().items()}
    if tokenizer.fields is not None:
        config["fields"] = save_fields(tokenizer.fields, folder, int8)
    if describer is not None:
        config["text"] = text_folder.save_text(describer, folder, int8, int4, own)
    if tokenizer.statistics is not None:
        tokenizer.statistics.save(folder / FILE_NAME)
    text = json.dumps(config, indent=2, ensure_ascii=False) + "\n"
    write_bytes(folder / "config.json", text.encode(), ModelError)


def save_bridge(bridge: TokenConvolutions, folder: Path, int8: bool) -> dict[str, int]:
    """Write what tells mel frames of tokens; returns its sizes, section `hearing` of the config."""
    state = bridge.state_dict()
    save_weights(folder / HEARING, state, int8=large_matrices(state) if int8 else ())
    return bridge_sizes(bridge)


def open_bridge(folder: Path, sizes: dict[str, int]) -> TokenConvolutions:
    """What `save_bridge` wrote; `ModelError` for missing and unfitting files."""
    try:
        bridge = TokenConvolutions(**sizes)
        bridge.load_state_dict(load_weights(folder / HEARING))
    except (TypeError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ModelError(f"{folder / HEARING} does not fit its config.json: {reason}") from error
    return bridge


def _load_own(folder: Path, decoder: bool) -> UniAudioTokenizer:
    config = read_config(folder)
    unknown = sorted(set(config) - _SECTIONS - _OPTIONAL)
    missing = sorted(_SECTIONS - {"layout"} - set(config))
    if unknown or missing:
        problem = f"unknown: {', '.join(unknown)}" if unknown else f"missing: {', '.join(missing)}"
        raise ModelError(f"{folder / 'config.json'} does not fit format 1; {problem}.")
    if not (folder / MODEL).is_file():
        raise ModelError(f"The model folder {folder} has no {MODEL}; restore the file.")
    state = with_sinusoids(load_weights(folder / MODEL), config.get("sinusoids", {}))
    encoder_config = {**config["encoder"], **_TRAINING_STATE}
    encoder = _encoder(encoder_config, _part(state, "encoder."), folder / MODEL)
    speech = None
    if decoder and "flow" in config:
        speech = _decoder(
            config["flow"],
            config.get("vocoder", {}),
            config.get("mel", {}),
            config.get("decoding", {}),
            _part(state, "flow."),
            _part(state, "vocoder."),
        )
    features = LogMelFeatures.from_preprocessor_config(config["features"])
    section = config.get("text", {})

    def text() -> Describer:
        return text_folder.open_own(folder, section)

    return UniAudioTokenizer(
        encoder, features, speech, str(config["model_id"]), text if section else None,
        bridge=open_bridge(folder, config["hearing"]) if "hearing" in config else None,
        fields=open_fields(folder, config["fields"]) if "fields" in config else None,
    )  # fmt: skip


def _load_release(folder: Path, decoder: bool) -> UniAudioTokenizer:
    home = folder / "tokenizer" if (folder / "tokenizer").is_dir() else folder
    config, preprocessor, state = release.read_tokenizer(home)
    whole, names = UniAudioConfig.from_reference(config), tuple(state)
    # Tokens need the layers up to the quantizer only; a full checkpoint's others stay unread.
    config = {**config, **_TRAINING_STATE, "quantize_encoder_only": True}
    encoder = _encoder(config, state, home)
    features = LogMelFeatures.from_preprocessor_config(preprocessor)
    if encoder.config.num_mel_bins != features.n_mels:
        raise ModelError(
            f"{home}: the encoder takes {encoder.config.num_mel_bins} mel bands, but "
            f"preprocessor_config.json gives {features.n_mels}."
        )
    speech = None
    if decoder and (folder / "decoder").is_dir():
        from unisono.synthesis.vocoder import HiFTConfig

        parts = release.read_decoder(folder / "decoder")
        vocoder = parts["vocoder"]
        # The reference's mel: window 1024, to 8 kHz; rate, hop and bands are the vocoder's.
        sizes = HiFTConfig.from_dict(vocoder)
        mel = {"rate": sizes.sampling_rate, "hop": sizes.hop, "n_mels": sizes.in_channels}
        speech = _decoder(
            parts["flow"], vocoder, mel, {}, parts["flow_state"], parts["vocoder_state"]
        )
        _check_pair(encoder.config, speech, folder)
    elif decoder:
        logger.info("%s has no decoder folder: encoding only", folder)
    assert encoder.quantizer is not None
    model_id = f"uniaudio-{release.fingerprint(encoder.quantizer.codebook.weight)}"
    no_text = text_folder.why_no_release_text(home, whole, names)

    def text() -> Describer:
        return text_folder.open_release(home)

    return UniAudioTokenizer(
        encoder, features, speech, model_id, None if no_text else text, no_text
    )


def _encoder(config: dict[str, Any], state: dict[str, Tensor], where: Path) -> UniAudioEncoder:
    built = UniAudioConfig.from_reference(config)
    if built.quantize_vocab_size is None:
        raise ModelError(f"{where} has no quantizer, so it gives no tokens.")
    with torch.device("cpu"):
        encoder = UniAudioEncoder(built)
    try:
        encoder.load_reference_state({n: t.float() for n, t in state.items()})
    except ModelError as error:
        text = str(error)
        # A wrong config misses every tensor; the first ones tell as much as all.
        raise ModelError(f"{where}: {text if len(text) < 600 else text[:600] + ' …'}") from error
    return encoder.eval()


def _decoder(
    flow: dict[str, Any],
    vocoder: dict[str, Any],
    mel: dict[str, Any],
    decoding: dict[str, Any],
    flow_state: dict[str, Tensor],
    vocoder_state: dict[str, Tensor],
) -> SpeechDecoder:
    from unisono.synthesis.decoder import SpeechDecoder

    speech = SpeechDecoder.from_config({**decoding, "flow": flow, "hift": vocoder, "mel": mel})
    speech.flow.load_reference_state({n: t.float() for n, t in flow_state.items()})
    speech.vocoder.load_reference_state({n: t.float() for n, t in vocoder_state.items()})
    return speech.eval()


def _check_pair(config: UniAudioConfig, speech: SpeechDecoder, where: Path) -> None:
    """Refuse a decoder that was made for other tokens."""
    flow = speech.flow.config
    codes, rate = config.quantize_vocab_size or 0, 50 / config.pooling
    if flow.vocab_size < codes or flow.input_frame_rate != rate:
        raise ModelError(
            f"{where}: the decoder takes {flow.vocab_size} codes at {flow.input_frame_rate:g} Hz, "
            f"but the tokenizer gives {codes} at {rate:g} Hz; they do not belong together."
        )


def _encoder_dict(config: UniAudioConfig) -> dict[str, Any]:
    """The encoder's options as plain data, those that differ from the defaults."""
    return text_folder.text_config(config) | {"quantize_encoder_only": True}


def _goes_int8(name: str, tensor: Tensor) -> bool:
    """Matrices of the encoder's layers and SAE (training rounds them alike), of flow and vocoder.

    Tables that are looked up, the first convolutions and the vocoder's F0 predictor, whose errors
    would add up to other phases, stay in float16.
    """
    if name.startswith(("encoder.layers.", "encoder.residual_")):
        return tensor.ndim == 2
    large = tensor.ndim >= 2 and tensor.numel() >= LARGE and name.endswith(".weight")
    kept = ("flow.input_embedding", "vocoder.f0_predictor")
    return large and name.startswith(("flow.", "vocoder.")) and not name.startswith(kept)


def _part(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {n.removeprefix(prefix): t for n, t in state.items() if n.startswith(prefix)}
