"""A Whisper of a few thousand weights with its tokenizer, which hears " hi" in everything."""

from __future__ import annotations

import torch
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers
from tokenizers.decoders import ByteLevel
from transformers import WhisperConfig, WhisperForConditionalGeneration

LANGUAGES = ["en", "fr", "no"]
SPECIAL = [
    "<|endoftext|>",
    "<|startoftranscript|>",
    *(f"<|{code}|>" for code in LANGUAGES),
    "<|translate|>",
    "<|transcribe|>",
    "<|startoflm|>",
    "<|startofprev|>",
    "<|nospeech|>",
    "<|notimestamps|>",
]
VOCABULARY = 256 + len(SPECIAL)


def write_tiny_whisper(folder, width=64):
    """Writes what a Whisper folder has; every byte is a token, then come the special ones."""
    folder.mkdir(parents=True, exist_ok=True)
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    pieces = Tokenizer(models.BPE({c: n for n, c in enumerate(letters)}, []))
    pieces.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    pieces.decoder = ByteLevel()
    pieces.add_special_tokens([AddedToken(token, special=True) for token in SPECIAL])
    pieces.save(str(folder / "tokenizer.json"))
    torch.manual_seed(0)
    config = WhisperConfig(
        vocab_size=VOCABULARY,
        d_model=width,
        encoder_layers=3,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=64,
        decoder_ffn_dim=64,
        max_target_positions=40,
        pad_token_id=256,
        bos_token_id=256,
        eos_token_id=256,
        decoder_start_token_id=257,
        begin_suppress_tokens=None,
        suppress_tokens=None,
    )
    model = WhisperForConditionalGeneration(config)
    # The place decides what is said: after the prompt's four tokens " hi", then the end.
    said = {3: letters.index("Ġ"), 4: letters.index("h"), 5: letters.index("i")}
    with torch.no_grad():
        table = model.model.decoder.embed_tokens.weight
        table.copy_(torch.nn.functional.normalize(torch.randn_like(table), dim=-1))
        for place in range(3, 40):
            model.model.decoder.embed_positions.weight[place] = 20 * table[said.get(place, 256)]
    model.save_pretrained(folder)
    return folder
