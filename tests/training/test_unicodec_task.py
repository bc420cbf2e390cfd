"""The UniCodec stage: terms, two players, resuming, distillation, a model folder at the end."""

from __future__ import annotations

import copy
import json
from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch
from debug_runs import CONFIGS, overrides, same
from transformers import HubertConfig, HubertModel, Wav2Vec2FeatureExtractor

import unisono
from unisono.errors import DataError
from unisono.training.config import load_config
from unisono.training.export import assemble_unicodec
from unisono.training.loop import train
from unisono.training.state import load_checkpoint, module_weights
from unisono.training.tasks import build_task
from unisono.training.voice_swap import registers, swapped_voices
from unisono.training.world import World
from unisono.unicodec.source import Pitch


def config(corpus, out, **more):
    return load_config(CONFIGS / "debug-unicodec.yaml", overrides(corpus, out, **more))


def run(settings):
    return train(settings, build_task(settings), terminal=False)


@pytest.fixture(scope="module")
def hubert(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hubert")
    torch.manual_seed(0)
    sizes = HubertConfig(
        hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16,
        conv_dim=(8,) * 7, num_conv_pos_embeddings=4, num_conv_pos_embedding_groups=2,
    )  # fmt: skip
    HubertModel(sizes).save_pretrained(folder)
    Wav2Vec2FeatureExtractor(sampling_rate=16_000).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def teacher(hubert, tmp_path_factory):
    cache = tmp_path_factory.mktemp("cache")
    return {"options.teacher": f"{{model: {hubert}, layer: 1, cache: {cache}}}"}


@pytest.fixture(scope="module")
def finished(corpus, teacher, tmp_path_factory):
    """A run with everything: teacher, discriminator from step 4 on, samples."""
    out = tmp_path_factory.mktemp("unicodec") / "run"
    return run(config(corpus, out, samples_every=8, **teacher))


def lines(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_terms_are_logged_and_the_discriminator_joins_at_its_step(finished):
    steps = {line["step"]: line for line in lines(finished) if "step_seconds" in line}
    assert list(steps) == [2, 4, 6, 8]
    terms = {"spectral", "mel", "rate", "consistency", "distill", "bits_s", "bits_p"}
    for line in steps.values():
        assert terms <= line.keys()
    assert "matching" not in steps[2] and {"fooled", "matching"} <= steps[8].keys()
    valid = next(line for line in lines(finished) if "valid/mel_distance" in line)
    assert {"valid/mel_distance_gs", "valid/distill", "valid/bits_p"} <= valid.keys()


def test_samples_are_real_from_all_and_from_two_streams(finished):
    folder = finished / "samples" / "step-00000008"
    names = {f"{n}-{kind}" for n in (1, 2) for kind in ("real", "made", "made-gs")}
    assert {path.stem for path in folder.glob("*.wav")} == names
    wave, rate = soundfile.read(folder / "1-real.wav")
    assert rate == 16_000 and len(wave) == 10 * 640 and abs(wave).max() > 0.01


def test_a_run_becomes_a_model_folder(finished, tmp_path):
    tok = unisono.load(assemble_unicodec(finished, tmp_path / "tiny", "tiny", int8=False))
    wave = (0.1 * np.random.default_rng(0).standard_normal(9000)).astype(np.float32)
    tokens = tok.encode((wave, 16_000))
    assert tokens.model == "tiny" and tokens["residual"].shape == (4, 15)
    assert tok.decode(tokens).length == 9000
    trained = module_weights(finished)["codec"]
    for name, tensor in tok.model.state_dict().items():
        torch.testing.assert_close(tensor, trained[name])


@pytest.mark.parametrize("stop", [3, 6])
def test_stopped_and_resumed_equals_uninterrupted(stop, corpus, teacher, tmp_path):
    """Before the discriminator joins and after; both optimizers and all chance go on."""
    more = {**teacher, "average": 0.9, "save_every": 1, "data.workers": 0}
    whole = run(config(corpus, tmp_path / "whole", **more))
    parted = config(corpus, tmp_path / "parted", **more)

    class Killed(Exception):
        pass

    task = build_task(parted)
    inner = task.batch

    def batch(step):
        if step == stop:
            raise Killed
        return inner(step)

    task.batch = batch
    with pytest.raises(Killed):
        train(parted, task, terminal=False)
    assert 0 < load_checkpoint(tmp_path / "parted")["step"] <= stop
    run(parted)
    straight, resumed = load_checkpoint(whole), load_checkpoint(tmp_path / "parted")
    assert straight["step"] == resumed["step"] == 8
    assert straight["optimizers"].keys() == {"generator", "discriminator"}
    for part in ("modules", "optimizers", "task", "rng"):
        assert same(straight[part], resumed[part]), part


@pytest.fixture
def task(corpus, teacher, tmp_path):
    return build_task(config(corpus, tmp_path / "x", **teacher))


def generator_figures(task, batch, step=0):
    (_, loss, figures), *_ = [turn for turn in task.losses(batch, step) if turn[0] == "generator"]
    return loss, figures


def test_the_discriminator_alone_learns_in_its_turn(task):
    batch = task.batch(0)
    turns = task.losses(batch, 4)
    name, loss, _ = next(turns)
    assert name == "discriminator"
    loss.backward()
    assert all(p.grad is None for p in task.model.parameters())
    assert all(p.grad is not None for p in task.discriminator.parameters())
    for p in task.discriminator.parameters():
        p.grad = None
    name, loss, figures = next(turns)
    assert name == "generator" and figures["fooled"] > 0
    loss.backward()
    assert all(p.grad is None for p in task.discriminator.parameters())
    assert all(p.requires_grad for p in task.discriminator.parameters())
    # Every second step it rests.
    assert [turn[0] for turn in task.losses(batch, 5)] == ["generator"]


def trained(task, batch, parameters, steps):
    """Figures of so many steps on one batch."""
    optimizer = torch.optim.Adam(parameters, 3e-3)
    found = []
    for step in range(steps):
        optimizer.zero_grad()
        torch.manual_seed(step)
        loss, figures = generator_figures(task, batch)
        loss.backward()
        optimizer.step()
        found.append(figures)
    return found


def test_training_lowers_distillation_and_what_is_compared(task):
    batch = task.batch(0)
    parameters = [*task.model.parameters(), *task.distiller.parameters()]
    first, *_, figures = trained(task, batch, parameters, 40)
    assert figures["distill"] < first["distill"] - 0.05
    assert figures["mel"] < 0.6 * first["mel"] and figures["spectral"] < first["spectral"]


def test_distillation_by_hand_and_only_where_the_teacher_spoke(task):
    batch = task.batch(0)
    task.model.eval()
    with torch.no_grad():
        made = task.make(batch, None)
        told = task.distiller(made.semantic.vectors)
        cosine = torch.nn.functional.cosine_similarity(told, batch.taught, dim=-1)
        each = -torch.log(torch.sigmoid(cosine))
        assert float(task._terms(batch, made)["distill"][1]) == pytest.approx(float(each.mean()))
        silent = batch.taught.clone()
        silent[:, 4:] = 0
        term = task._terms(replace(batch, taught=silent), made)["distill"][1]
        assert float(term) == pytest.approx(float(each[:, :4].mean()))


def test_without_residual_absent_is_decoded_and_learns(task):
    batch = task.batch(0)
    task.model.eval()
    alone = replace(batch, absent=torch.ones_like(batch.absent))
    made = task.make(alone, None)
    made.wave.square().mean().backward()
    assert task.model.absent.grad.any()
    assert task.model.residual_encoder.quantizer.codebook.grad is None or not (
        task.model.residual_encoder.quantizer.codebook.grad.any()
    )
    with torch.no_grad():
        task.model.absent += 1
        assert (task.make(alone, None).wave - made.wave).abs().max() > 1e-4
        both = replace(batch, absent=torch.zeros_like(batch.absent))
        before = task.make(both, None).wave
        task.model.absent -= 1
        assert torch.equal(task.make(both, None).wave, before)


def test_swapped_crops_take_global_from_the_other(task):
    batch = task.batch(0)
    task.model.eval()
    with torch.no_grad():
        here = replace(batch, swapped=torch.zeros_like(batch.swapped))
        there = replace(batch, swapped=torch.ones_like(batch.swapped))
        made, swapped = task.make(here, None), task.make(there, None)
        turned = task.make(replace(here, other=here.wave), None)
        assert torch.equal(made.semantic.codes, swapped.semantic.codes)
        quantizer = task.model.global_encoder.quantizer
        assert torch.equal(quantizer.encode(made.other), quantizer.encode(swapped.other))
        consistency = [float(task._terms(batch, m)["consistency"][1]) for m in (made, turned)]
    assert consistency[1] == pytest.approx(0, abs=1e-5) and consistency[0] > 1e-4


def test_rate_counts_bits_beside_the_aims(task):
    batch = task.batch(0)
    task.model.eval()
    with torch.no_grad():
        made = task.make(batch, None)
        term = float(task._terms(batch, made)["rate"][1])
    wanted = abs(float(made.semantic.bits) - 10.24) + abs(float(made.residual.bits) - 30)
    assert term == pytest.approx(wanted)


def test_batches_are_of_one_voice_and_repeat(task):
    a, b, c = task.batch(3), task.batch(3), task.batch(4)
    assert torch.equal(a.wave, b.wave) and not torch.equal(a.wave, c.wave)
    assert a.wave.shape == a.other.shape == (3, 10 * 640)
    assert a.taught.shape == (3, 10, 8) and a.seconds == pytest.approx(1.2)


def test_every_process_has_crops_of_its_own(corpus, tmp_path):
    settings = config(corpus, tmp_path / "x")
    alone, worlds = build_task(settings), [World(), World()]
    for rank, world in enumerate(worlds):
        world.rank, world.size = rank, 2
        batch, same = build_task(settings, world).batch(3), alone.batch(6 + rank)
        assert torch.equal(batch.wave, same.wave) and torch.equal(batch.other, same.other)
    assert batch.taught.shape == (3, 10, 0)


def test_a_run_starts_from_the_weights_of_another(finished, corpus, tmp_path):
    again = build_task(config(corpus, tmp_path / "x", **{"options.start_from": finished}))
    given = module_weights(finished)["codec"]
    assert all(torch.equal(t, given[name]) for name, t in again.model.state_dict().items())
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(DataError, match="no whole checkpoint"):
        build_task(config(corpus, tmp_path / "z", **{"options.start_from": empty}))


def test_evaluation_repeats_and_changes_nothing(task):
    before = copy.deepcopy(task.model.state_dict())
    a, b = task.evaluate(), task.evaluate()
    assert a == b and all(np.isfinite(value) for value in a.values())
    assert a["mel_distance"] != a["mel_distance_gs"]
    assert same(dict(before), dict(task.model.state_dict()))


# Pitch told by P ----------------------------------------------------------------------------------


@pytest.fixture
def pitched(corpus, tmp_path):
    book = "{book: {groups: 4, codes: 64, dim: 32}, channels: [2, 4], strides: [4, 4], hidden: 8}"
    return build_task(
        config(
            corpus, tmp_path / "pitched",
            **{"options.model.pitch": True, "options.model.decoder.source": True,
               "options.model.residual_stream": book, "options.disguise_share": 1.0},
        )
    )  # fmt: skip


def test_the_tracker_learns_beside_the_rest(pitched):
    batch = pitched.batch(0)
    steps = trained(pitched, batch, pitched.model.parameters(), 25)
    figures = [now["tracking"] for now in steps]
    assert np.mean(figures[-3:]) < 0.8 * figures[0]
    assert "tracking" in pitched.evaluate()


def test_while_training_p_tells_the_recordings_pitch_and_then_its_own(pitched):
    batch = pitched.batch(0)
    book = pitched.model.residual_encoder.quantizer.book
    wanted = book.codes(Pitch(batch.octaves, batch.voiced))
    with torch.no_grad():
        made = pitched.make(batch, 1.0)
        assert torch.equal(made.residual.codes[..., 0], wanted)
        pitched.model.eval()
        tracked = pitched.make(batch, None).residual.codes[..., 0]
    assert not torch.equal(tracked, wanted)  # nothing was learnt yet


def test_what_is_tracked_is_aimed_at_where_the_disguise_has_moved_it(pitched):
    batch = pitched.batch(0)
    pitched.model.eval()
    levels = pitched.model.residual_encoder.quantizer.book.levels

    class Sure(torch.nn.Module):
        """Says a pitch of 200 Hz, and voice, whatever it sees."""

        def forward(self, size):
            shape = *size.shape[:2], levels
            odds = torch.zeros(shape)
            place = pitched.model.residual_encoder.quantizer.book.place(torch.tensor(7.643856))
            odds[..., round(float(place))] = 20.0
            return odds, torch.full(shape[:2], 9.0)

    pitched.model.residual_encoder.tracker = Sure()
    spectrum = pitched.model.spectrum(batch.wave)
    voiced = torch.ones_like(batch.voiced)
    low = torch.full_like(batch.octaves, 7.643856 - 0.5)
    raised = replace(batch, octaves=low, voiced=voiced, shifts=torch.full_like(batch.shifts, 0.5))
    plain = replace(raised, shifts=torch.zeros_like(batch.shifts))
    with torch.no_grad():
        assert float(pitched._tracking(spectrum, raised)) < 12
        assert float(pitched._tracking(spectrum, plain)) > 15


def test_with_the_pitch_alone_the_rest_of_p_is_not_decoded(pitched):
    batch = pitched.batch(0)
    chosen = torch.zeros_like(batch.alone)
    chosen[0] = True
    batch = replace(batch, alone=chosen, absent=torch.zeros_like(batch.absent))
    made = pitched.make(batch, 1.0)
    grads = torch.autograd.grad(made.wave[0].sum(), made.residual.vectors, retain_graph=True)[0]
    pitch = grads.shape[-1] // 4
    assert grads[0, :, :pitch].any() and not grads[0, :, pitch:].any()
    assert torch.autograd.grad(made.wave[1].sum(), made.residual.vectors)[0][1, :, pitch:].any()
    gone = pitched.make(replace(batch, absent=torch.ones_like(chosen)), 1.0)
    assert not torch.equal(gone.wave[0], made.wave[0])  # without P there is no pitch either


def test_p_may_be_shown_the_voice_that_s_is_not(pitched):
    batch = pitched.batch(0)
    assert batch.shifts.any()
    plain = replace(
        batch, shifts=torch.zeros_like(batch.shifts), colour=torch.zeros_like(batch.colour)
    )
    pitched.model.eval()
    seen = []
    pitched.model.residual_encoder.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    for share in (True, False):
        pitched.options = pitched.options.model_copy(update={"disguise_residual": share})
        with torch.no_grad():
            codes = [pitched.make(crops, None).semantic.codes for crops in (batch, plain)]
        assert not torch.equal(*codes)
    both, bare, shown, same_again = seen
    assert not torch.equal(both, bare)
    assert torch.equal(shown, bare) and torch.equal(same_again, bare)


def test_what_fewer_tokens_give_is_measured_too(pitched):
    figures = pitched.evaluate()
    names = [f"mel_distance{kept}" for kept in ("", "_gs", "_gs_pitch")]
    assert len({figures[name] for name in names}) == 3
    assert {"1-made-gs-pitch", "1-made-gs", "1-made", "1-real"} <= set(pitched.samples())


def test_other_voices_teach_the_decoder_alone(pitched):
    batch = pitched.batch(0)
    model = pitched.model.train()
    spectrum = model.spectrum(batch.wave)
    glob = model.global_encoder.quantizer(model.global_encoder(spectrum), 1.0).vectors
    semantic = model.semantic_encoder.quantizer(model.semantic_encoder(spectrum), 1.0).vectors
    before = [b.clone() for b in model.global_encoder.buffers()]
    pitch = Pitch(batch.octaves, batch.voiced)
    voice, content = swapped_voices(model, glob.detach(), semantic.detach(), spectrum, pitch)
    (voice + content).backward()
    assert 0 < voice.item() < 2 and 0 < content.item() < 2
    assert any(p.grad is not None and p.grad.any() for p in model.decoder.parameters())
    encoders = model.global_encoder, model.semantic_encoder
    assert all(p.grad is None and p.requires_grad for e in encoders for p in e.parameters())
    assert all(e.training for e in encoders)
    after = list(model.global_encoder.buffers())
    assert all(torch.equal(*two) for two in zip(before, after, strict=True))


def test_other_voices_are_lowered_by_training(pitched):
    pitched.options = pitched.options.model_copy(update={"swap_voice": 5.0})
    batch, model = pitched.batch(0), pitched.model.train()
    with torch.no_grad():
        for _ in range(60):  # until the encoders' running averages are those of real voices
            spectrum = model.spectrum(batch.wave)
            model.global_encoder(spectrum), model.semantic_encoder(spectrum)
    steps = trained(pitched, batch, model.decoder.parameters(), 20)
    figures = [now["swap_voice"] for now in steps]
    assert np.mean(figures[-3:]) < 0.8 * figures[0]
    assert {"swap_voice", "swap_content"} <= set(pitched.evaluate())


def test_an_item_without_voice_has_the_register_of_the_others():
    octaves = torch.tensor([[7.0, 7.0], [8.0, 9.0], [3.0, 3.0]])
    voiced = torch.tensor([[1.0, 1.0], [1.0, 0.0], [0.0, 0.0]])
    found = registers(Pitch(octaves, voiced))
    assert torch.allclose(found, torch.tensor([7.0, 8.0, 22 / 3]))


def test_narrow_recordings_are_narrow_for_g_too(corpus, teacher, tmp_path):
    def upper(share):
        task = build_task(config(corpus, tmp_path / "n", **{"options.narrow_share": share}))
        batch = task.batch(0)
        power = [torch.fft.rfft(x).abs().square() for x in (batch.wave, batch.other)]
        return [float(p[:, p.shape[1] * 7 // 10 :].sum() / p.sum()) for p in power]

    wide, narrow = upper(0.0), upper(1.0)
    assert all(a > 100 * b for a, b in zip(wide, narrow, strict=True))
