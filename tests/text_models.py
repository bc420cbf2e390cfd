"""Small random models that read tokens as text, with tokenizers of both kinds."""

from __future__ import annotations

import torch
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers, trainers
from tokenizers.decoders import ByteLevel

from unisono.uniaudio import UniAudioConfig
from unisono.uniaudio.describing import Describer
from unisono.uniaudio.reading import TokenReader
from unisono.uniaudio.text_tokens import SAP_PIECES, TASKS, TextTokens

SPEECH = (
    '{"transcription":"Grüß dich, wie geht es?","paralinguistics":{"age":"Adult",'
    '"gender":"Female","emotion":"Happiness","accent":"Bavarian","prosody":"fast, loud",'
    '"timbre":"bright"},"nonLinguisticEvents":{"description":"A woman greets; a dog barks.",'
    '"discreteEvents":[{"label":"dog bark","characteristic":"twice"},'
    '{"label":"door","characteristic":"near"}],'
    '"continuousEvents":[{"label":"rain","characteristic":"steady 雨"}]}}'
)
SOUND = (
    '{"transcription":null,"paralinguistics":{"age":null,"gender":null,"emotion":null,'
    '"accent":null,"prosody":null,"timbre":null},"nonLinguisticEvents":{"description":'
    '"No distinct sounds.","discreteEvents":[],"continuousEvents":[]}}'
)
_SPECIAL = (
    "<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|it|>", "<|translate|>",
    "<|transcribe|>", "<|notimestamps|>",
)  # fmt: skip


def text_tokens(sap_pieces: bool, tasks: bool = True) -> TextTokens:
    """A byte-level BPE of a few hundred merges, with Whisper's special tokens."""
    pieces = Tokenizer(models.BPE())
    pieces.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    pieces.decoder = ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    pieces.train_from_iterator([SPEECH, SOUND, "the cat sat on the mat " * 3] * 4, trainer)
    pieces.add_special_tokens(list(_SPECIAL + (TASKS if tasks else ())))
    if sap_pieces:
        pieces.add_tokens([AddedToken(piece, normalized=False) for piece in SAP_PIECES])
    return TextTokens(pieces) if tasks else pieces


def describer(
    encoder: UniAudioConfig, sap_pieces: bool = True, seed: int = 0, positions: int = 280
) -> Describer:
    """A random reader of `encoder`'s tokens; `seed` gives other weights."""
    tokens = text_tokens(sap_pieces)
    torch.manual_seed(seed)
    options = encoder.to_diff_dict() | {
        "vocab_size": tokens.size + 3,
        "encoder_layers": encoder.quantize_position + 1,
        "decoder_layers": 1,
        "max_target_positions": positions,
        "pad_token_id": tokens.end,
        "bos_token_id": tokens.end,
        "eos_token_id": tokens.end,
        "decoder_start_token_id": tokens.start,
    }
    reader = TokenReader(UniAudioConfig.from_reference(options)).eval()
    with torch.no_grad():
        for name, parameter in reader.named_parameters():
            if parameter.ndim == 2:
                torch.nn.init.normal_(parameter, std=1.0 if "embed" in name else 0.3)
    return Describer(reader, tokens)
