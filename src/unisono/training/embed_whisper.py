"""A reader of tokens that is a Whisper as it is, without any training (ours).

It hears the mel frames that the tokens stand for, as `uniaudio.whisper_reader` lets a Whisper of
transformers hear them; but this one goes into the model's folder, with fewer text tokens.
"""

from __future__ import annotations

from pathlib import Path

from unisono.errors import ConfigError
from unisono.synthesis.convolution import TokenConvolutions
from unisono.training.encoder_start import whisper_weights
from unisono.training.text_start import reader_config, start_decoder, start_ears, whisper_config
from unisono.uniaudio.describing import Describer
from unisono.uniaudio.hearing import FRAMES, bridge_sizes
from unisono.uniaudio.reading import TokenReader

_POSITIONS = "model.decoder.embed_positions.weight"


def whisper_describer(
    folder: Path, bridge: TokenConvolutions, position: int, ascii_only: bool = True
) -> Describer:
    """All layers of a Whisper behind `bridge`, which tells mel frames of code vectors.

    The task tokens, which Whisper does not know, start as its start of transcript: it transcribes,
    and its SAPs mean nothing.

    Args:
        folder: of a Whisper in transformers' layout. position: the encoder layer that is quantized.
        ascii_only: leave out the text tokens with other letters than ASCII's.

    Raises:
        ConfigError: the Whisper is of another width than the code vectors, or hears other frames.
        ModelError, DataError: the folder is not a Whisper's.
    """
    whisper, given = whisper_config(folder)
    weights = whisper_weights(folder)
    sizes = bridge_sizes(bridge)
    if (sizes["dim"], sizes["out"]) != (whisper.d_model, FRAMES * whisper.num_mel_bins):
        raise ConfigError(
            f"{folder}: this Whisper is {whisper.d_model} wide and hears {whisper.num_mel_bins} "
            f"mel bands; the tokens' vectors are {sizes['dim']} wide and tell "
            f"{sizes['out'] // FRAMES} bands"
        )
    # Whisper's own positions: the others would be stored without ever having been trained.
    whisper.max_target_positions = len(weights[_POSITIONS])
    tokens = given.ascii() if ascii_only else given
    bridged = {name: sizes[name] for name in ("width", "layers")}
    config = reader_config(whisper, tokens, [], position, (), bridged)
    reader = TokenReader(config)
    start_decoder(reader.decoder, weights, [], tokens, given)
    ears = start_ears(config, weights)
    parts = {"ears": ears.state_dict(), "bridge": bridge.state_dict()}
    top = {f"{part}.{name}": t for part, own in parts.items() for name, t in own.items()}
    reader.load_parts(top, reader.decoder.state_dict())
    return Describer(reader, tokens)
