"""Losses, phonemes and text tokens of the encoder stage: known answers."""

from __future__ import annotations

import math

import pytest
import torch
from tiny_whisper import SPECIAL, VOCABULARY, write_tiny_whisper

from unisono.errors import ModelError
from unisono.training.heads import SummaryHead, summaries
from unisono.training.losses import best_divergence, ctc_per_symbol, label_errors, masked_l1
from unisono.training.phonemes import Inventory, edit_distance, reading_errors
from unisono.uniaudio.text_tokens import TextTokens


def test_masked_l1_leaves_padding_out():
    made, real = torch.zeros(1, 3, 2), torch.tensor([[[1.0, 3.0], [2.0, 2.0], [9.0, 9.0]]])
    total, count = masked_l1(made, real, torch.tensor([[1, 1, 0]]))
    assert (total.item(), count.item()) == (4.0, 2.0)


def test_ctc_sums_over_all_alignments_and_divides_by_length():
    shares = torch.tensor([[[0.5, 0.3, 0.2], [0.6, 0.1, 0.3]]]).expand(3, -1, -1)
    # One symbol in two frames: itself twice, or with a blank before or after; two symbols: once.
    one = 0.3 * 0.1 + 0.3 * 0.6 + 0.5 * 0.1
    two = 0.3 * 0.3
    total, count = ctc_per_symbol(
        shares.log(), torch.tensor([2, 2, 2]), torch.tensor([1, 1, 2]), torch.tensor([1, 2, 0])
    )
    assert count == 2
    assert total.item() == pytest.approx(-math.log(one) - math.log(two) / 2, rel=1e-5)


def test_cross_entropy_is_summed():
    logits = torch.tensor([[0.2, 0.8], [0.5, 0.5]]).log()
    total, count = label_errors(logits, torch.tensor([1, 0]))
    assert total.item() == pytest.approx(-math.log(0.8) - math.log(0.5))
    assert count == 2


def test_divergence_of_the_best_takes_the_rest_as_one_class():
    student = torch.tensor([[0.25, 0.25, 0.5]]).log()
    best, shares = torch.tensor([[0]]), torch.tensor([[0.5]])
    total, count = best_divergence(student, best, shares)
    expected = 0.5 * math.log(0.5 / 0.25) + 0.5 * math.log(0.5 / 0.75)
    assert (total.item(), count) == (pytest.approx(expected, rel=1e-5), 1)


def test_divergence_is_zero_only_at_the_teacher():
    torch.manual_seed(0)
    logits = torch.randn(5, 30, requires_grad=True)
    shares, best = logits.detach().softmax(-1).topk(4)
    same, _ = best_divergence(logits, best, shares)
    assert same.item() == pytest.approx(0, abs=1e-5)
    (gradient,) = torch.autograd.grad(same, logits)
    assert gradient.abs().max() < 1e-5
    assert best_divergence(logits + torch.randn(5, 30), best, shares)[0] > 0.1
    # A teacher without doubt, rounded to more than 1, stays finite.
    certain = best_divergence(logits, best[:, :1], torch.full((5, 1), 1.001))[0]
    assert torch.isfinite(certain) and certain > 0


def test_an_item_has_targets_only_with_known_symbols_and_room():
    inventory = Inventory(["ba b", "c"])
    assert inventory.symbols == ["a", "b", "c"]
    batch = inventory.batch(["ab", "", "xyz", "c x", "abc"], [9, 9, 9, 9, 3])
    assert batch.rows.tolist() == [0, 3]
    assert batch.symbols.tolist() == [1, 2, 3]
    assert batch.lengths.tolist() == [2, 1]


def test_a_batch_without_targets_keeps_one_row_that_counts_nothing():
    batch = Inventory(["a"]).batch(["", ""], [5, 5])
    assert (batch.rows.tolist(), batch.lengths.tolist()) == ([0], [0])
    scores = torch.randn(1, 5, 2).log_softmax(-1).requires_grad_()
    total, count = ctc_per_symbol(scores, torch.tensor([5]), batch.symbols, batch.lengths)
    assert (total.item(), count) == (0, 0)
    total.backward()
    assert not scores.grad.any()
    assert reading_errors(scores, torch.ones(1, 5), batch) == 0


def test_a_reading_drops_blanks_and_repeats():
    batch = Inventory(["abc"]).batch(["abc"], [7])
    best = torch.tensor([[1, 1, 0, 2, 2, 0, 1]])
    scores = torch.nn.functional.one_hot(best, 4).float()
    assert reading_errors(scores, torch.ones(1, 7), batch) == 1  # "aba"
    assert reading_errors(scores, torch.tensor([[1, 1, 1, 1, 1, 0, 0]]), batch) == 1  # "ab"
    assert edit_distance("kitten", "sitting") == 3


@pytest.fixture(scope="module")
def tokens(tmp_path_factory):
    return TextTokens.from_whisper(write_tiny_whisper(tmp_path_factory.mktemp("whisper")))


def test_a_transcript_is_prompt_text_end(tokens):
    number = {token: 256 + n for n, token in enumerate(SPECIAL)}
    ids = tokens.transcript("hé", tokens.language("fr-CA"))
    prompt = ["<|startoftranscript|>", "<|fr|>", "<|transcribe|>", "<|notimestamps|>"]
    assert ids[:4] == [number[token] for token in prompt]
    assert ids[-1] == number["<|endoftext|>"]
    assert len(ids) == 4 + 4 + 1  # a space, h and two bytes
    assert tokens.text(ids) == "hé"


def test_languages_are_whispers(tokens):
    assert tokens.language("nb") == tokens.language("no") == 256 + SPECIAL.index("<|no|>")
    assert tokens.language("tlh") is None and tokens.language("") is None
    assert tokens.language("transcribe") is None


def test_a_text_cannot_smuggle_in_special_tokens(tokens):
    ids = tokens.transcript("<|endoftext|>", tokens.language("en"))
    assert ids.count(tokens.end) == 1
    assert tokens.text(ids) == "<|endoftext|>"


def test_other_tasks_have_tokens_after_the_vocabulary(tokens):
    ids = tokens.other("<|startofsap|>", "{}")
    assert ids[0] == VOCABULARY + 2 and tokens.size == VOCABULARY + 3
    assert tokens.text(ids) == "{}"


def test_a_folder_without_a_tokenizer_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"tokenizer\.json"):
        TextTokens.from_whisper(tmp_path)


def test_summaries_are_means_and_deviations_of_windows_without_padding():
    states = torch.tensor([[[1.0], [3.0], [5.0], [9.0]], [[2.0], [7.0], [8.0], [8.0]]])
    mask = torch.tensor([[1, 1, 1, 0], [1, 0, 0, 0]])
    found, count = summaries(states, mask, window=2)
    assert count.tolist() == [2, 1, 1]
    torch.testing.assert_close(
        found, torch.tensor([[2.0, 1.0], [5.0, 0.0], [2.0, 0.0]]), atol=2e-3, rtol=0
    )


def test_a_summary_head_that_knows_only_the_mean_is_off_by_the_variance():
    torch.manual_seed(0)
    below, mask = 3 + 2 * torch.randn(40, 50, 6), torch.ones(40, 50)
    seen, _ = summaries(below, mask)
    head = SummaryHead(6, seen)
    torch.nn.init.zeros_(head.outward.weight)
    torch.nn.init.zeros_(head.outward.bias)
    total, count = head.errors(torch.randn(40, 50, 6), below, mask)
    assert count == 40 and float(total) / 40 == pytest.approx(1.0, abs=0.01)
    optimizer = torch.optim.Adam(head.parameters(), 0.02)
    for _ in range(2000):  # states themselves tell their own means
        optimizer.zero_grad()
        total, _ = head.errors(below, below, mask)
        total.backward()
        optimizer.step()
    told = head.outward(seen[:, :6])[:, :6] * head.scale[:6] + head.center[:6]
    assert (told - seen[:, :6]).abs().mean() < 0.1 * seen[:, :6].std()
