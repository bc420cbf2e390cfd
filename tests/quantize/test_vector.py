"""The quantizer against hand-computed figures."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unisono.quantize import VectorQuantizer, nearest_codes


def quantizer(weights, **options):
    codes = torch.tensor(weights)
    made = VectorQuantizer(*codes.shape, **options)
    made.set_codebook(codes)
    return made


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000), codes=st.integers(1, 40), offset=st.sampled_from([0.0, 300.0]))
def test_nearest_equals_float64_search(seed, codes, offset):
    generator = torch.Generator().manual_seed(seed)
    book = torch.randn(codes, 5, generator=generator) + offset
    states = torch.randn(3, 11, 5, generator=generator) + offset
    exact = (states.double()[:, :, None] - book.double()).square().sum(-1).argmin(-1)
    assert torch.equal(nearest_codes(states, book), exact)


def test_ties_take_the_lowest_index_in_any_batch():
    generator = torch.Generator().manual_seed(0)
    half = torch.randn(37, 24, generator=generator)
    book = torch.cat([half, half, half])
    states = torch.randn(500, 24, generator=generator)
    together = nearest_codes(states, book)
    assert together.max() < 37
    assert torch.equal(together, torch.cat([nearest_codes(s[None], book) for s in states]))
    assert nearest_codes(torch.zeros(2, 24), torch.zeros(50, 24)).max() < 50


def test_chunks_and_emptiness_change_nothing(monkeypatch):
    generator = torch.Generator().manual_seed(0)
    states, book = torch.randn(300, 8, generator=generator), torch.randn(64, 8, generator=generator)
    whole = nearest_codes(states, book)
    monkeypatch.setattr("unisono.quantize.vector._CHUNK_ELEMENTS", 64 * 7)
    assert torch.equal(nearest_codes(states, book), whole)
    assert nearest_codes(torch.zeros(2, 0, 8), book).shape == (2, 0)


def test_two_steps_of_moving_averages_by_hand():
    made = quantizer([[0.0], [10.0]], decay=0.5, commit=0.25, scale=10.0).train()
    first = made(torch.tensor([[[1.0], [3.0], [8.0]]]))
    assert first.ids.tolist() == [[0, 0, 1]]
    # errors 1, 9, 4: mean 14/3; the vectors are the codes as they were
    assert first.loss.item() == pytest.approx(10 * 0.25 * 14 / 3)
    assert first.vectors.flatten().tolist() == [0.0, 0.0, 10.0]
    # counts .5*1 + .5*(2, 1) = (1.5, 1); weights .5*(0, 10) + .5*(4, 8) = (2, 9)
    torch.testing.assert_close(made.ema_count, torch.tensor([1.5, 1.0]), atol=1e-4, rtol=0)
    torch.testing.assert_close(made.ema_weight.flatten(), torch.tensor([2.0, 9.0]))
    book = made.codebook.weight.flatten()
    torch.testing.assert_close(book, torch.tensor([4 / 3, 9.0]), atol=1e-4, rtol=0)
    second = made(torch.tensor([[[2.0]]]))
    assert second.ids.tolist() == [[0]]
    # counts .5*(1.5, 1) + .5*(1, 0) = (1.25, .5); weights .5*(2, 9) + .5*(2, 0) = (2, 4.5)
    torch.testing.assert_close(made.ema_count, torch.tensor([1.25, 0.5]), atol=1e-4, rtol=0)
    book = made.codebook.weight.flatten()
    torch.testing.assert_close(book, torch.tensor([1.6, 9.0]), atol=1e-3, rtol=0)
    assert made.steps == 2


def test_without_averages_the_codebook_learns_by_gradient():
    made = quantizer([[0.0], [10.0]], commit=0.25, scale=2.0).train()
    states = torch.tensor([[[1.0], [8.0]]], requires_grad=True)
    out = made(states)
    assert out.loss.item() == pytest.approx(2 * (0.25 + 1) * 2.5)
    out.loss.backward()
    # d/de of 2 * mean((e - x)^2) = 2 * 2 (e - x) / 2
    assert made.codebook.weight.grad.flatten().tolist() == pytest.approx([-2.0, 4.0])
    assert states.grad.flatten().tolist() == pytest.approx([0.5, -1.0])


def test_gradient_passes_straight_through_and_commitment_can_be_off():
    made = quantizer([[0.0], [10.0]], decay=0.9, use_commit_loss=False).train()
    states = torch.tensor([[[1.0], [8.0]]], requires_grad=True)
    out = made(states)
    assert out.loss.item() == 0.0
    (out.vectors * torch.tensor([3.0, 5.0])[:, None]).sum().backward()
    assert states.grad.flatten().tolist() == [3.0, 5.0]


def test_masked_frames_count_for_nothing():
    generator = torch.Generator().manual_seed(0)
    states = torch.randn(2, 6, 3, generator=generator)
    mask = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 0, 0, 0, 0]])
    book = torch.randn(5, 3, generator=generator)
    results = []
    for filler in (0.0, 100.0):
        made = quantizer(book.tolist(), decay=0.9, restart_interval=1).train()
        filled = torch.where(mask.bool()[..., None], states, filler)
        out = made(filled, mask, generator=torch.Generator().manual_seed(3))
        results.append((out.loss, made.ema_count, made.ema_weight, made.codebook.weight))
    for a, b in zip(*results, strict=True):
        assert torch.equal(a, b)
    empty = quantizer(book.tolist(), decay=0.9, restart_interval=1).train()
    assert empty(states, torch.zeros(2, 6)).loss == 0
    assert torch.isfinite(empty.codebook.weight).all()


def test_restart_replaces_dead_codes_only_and_on_its_step_only():
    generator = torch.Generator().manual_seed(0)
    book = torch.randn(8, 4, generator=generator) * 0.1
    book[5:] += 1000.0
    made = quantizer(book.tolist(), decay=0.5, restart_interval=3).train()
    made.ema_count[5:] = 0.9  # from 1.0, three halvings only reach the bound of 0.5 ** 3
    made.ema_weight[5:] = 0.9 * made.codebook.weight[5:]
    draws = torch.Generator().manual_seed(1)
    for step in (1, 2, 3):
        states = torch.randn(1, 60, 4, generator=generator) * 0.1
        before = made.codebook.weight.detach().clone()
        ids = made(states, generator=draws).ids
        assert ids.max() < 5  # the far codes stay unused
        if step < 3:
            assert (made.codebook.weight[5:] > 900).all()
    restarted = made.codebook.weight[5:]
    assert (restarted[:, None] == states[0]).all(-1).any(-1).all()
    assert len(restarted.unique(dim=0)) == 3
    assert torch.equal(made.ema_weight[5:], restarted)
    assert made.ema_count[5:].tolist() == [1.0, 1.0, 1.0]
    alive = made.ema_weight[:5] / made.ema_count[:5, None]
    torch.testing.assert_close(made.codebook.weight[:5].detach(), alive)
    assert not torch.equal(made.codebook.weight[:5], before[:5])


class TwoProcesses:
    """Plays the other process of two: adds its sums in the order of the calls."""

    def __init__(self, rank, others):
        self.rank, self.size, self.others = rank, 2, list(others)

    def sum(self, tensor):
        return tensor + self.others.pop(0)

    def broadcast(self, tensor):
        return tensor

    def mean(self, total, count):
        return total * 2 / self.sum(count)


@pytest.mark.parametrize("rank", [0, 1])
def test_sums_over_processes_equal_one_big_batch(rank):
    generator = torch.Generator().manual_seed(0)
    book = torch.randn(6, 3, generator=generator)
    book[4:] += 100.0  # two dead codes
    parts = torch.randn(1, 20, 3, generator=generator), torch.randn(1, 7, 3, generator=generator)
    here, there = parts[rank], parts[1 - rank]
    single = quantizer(book.tolist(), decay=0.9, restart_interval=1).train()
    single.ema_count[4:] = 0.5
    shared = quantizer(book.tolist(), decay=0.9, restart_interval=1).train()
    shared.ema_count[4:] = 0.5
    joint = torch.cat(parts, 1)
    whole = single(joint, generator=torch.Generator().manual_seed(1))
    # The other process's share of the sums that this one asks for: frames, counts, sums, where
    # its states lie, and the restarted states that are its own.
    ids = nearest_codes(there, book).flatten()
    counts = torch.bincount(ids, minlength=6).float()
    sums = torch.zeros(6, 3).index_add_(0, ids, there[0])
    sizes = torch.tensor([20, 7])
    sizes[rank] = 0
    drawn = torch.randperm(27, generator=torch.Generator().manual_seed(1))[:2]
    mine = (drawn < 20) == (rank == 0)
    restarted = torch.where(mine[:, None], 0.0, joint[0, drawn])
    reducer = TwoProcesses(rank, [there.shape[1], counts, sums, sizes, restarted])
    out = shared(here, None, reducer, torch.Generator().manual_seed(1))
    torch.testing.assert_close(shared.codebook.weight, single.codebook.weight)
    torch.testing.assert_close(shared.ema_count, single.ema_count)
    assert torch.equal(shared.codebook.weight[4:], joint[0, drawn])
    own = (here - book[nearest_codes(here, book)]).square().mean(-1).sum()
    assert out.loss.item() == pytest.approx(0.25 * own.item() * 2 / 27)
    assert whole.loss is not None


def test_kmeans_start_finds_separate_clusters():
    generator = torch.Generator().manual_seed(0)
    centers = torch.randn(6, 4, generator=generator) * 50
    states = (centers[:, None] + torch.randn(6, 80, 4, generator=generator)).flatten(0, 1)
    made = VectorQuantizer(24, 4, decay=0.9)
    unexplained = made.init_from(states, generator=generator)
    assert unexplained < 0.01
    assert torch.equal(made.ema_weight, made.codebook.weight)
    again = VectorQuantizer(24, 4, decay=0.9)
    again.init_from(states[:5])  # fewer states than codes
    assert torch.isfinite(again.codebook.weight).all()


def test_inference_neither_updates_nor_gives_a_loss():
    made = quantizer([[0.0], [10.0]], decay=0.5).eval()
    before = {name: tensor.clone() for name, tensor in made.state_dict().items()}
    out = made(torch.tensor([[3.0]]))
    assert out.loss is None and out.vectors.tolist() == [[0.0]]
    for name, tensor in made.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_the_kept_table_follows_every_change_of_the_codebook():
    torch.manual_seed(0)
    quantizer = VectorQuantizer(8, 4, decay=0.9).eval()
    states = torch.randn(50, 4)
    with torch.inference_mode():
        quantizer(states)
    quantizer.set_codebook(torch.randn(8, 4))
    assert torch.equal(quantizer(states).ids, nearest_codes(states, quantizer.codebook.weight))
    quantizer.load_state_dict(VectorQuantizer(8, 4, decay=0.9).state_dict())
    assert torch.equal(quantizer(states).ids, nearest_codes(states, quantizer.codebook.weight))
    quantizer.train()
    quantizer(states)
    quantizer.eval()
    assert torch.equal(quantizer(states).ids, nearest_codes(states, quantizer.codebook.weight))
