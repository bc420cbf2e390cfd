import torch
from torch import nn

from unisono.evaluation.benchmarks import paper_size
from unisono.evaluation.benchmarks.decoder_speed import Setting
from unisono.evaluation.flops import conv_flops, encoder_flops, layer_flops, traced_flops
from unisono.uniaudio.config import UniAudioConfig


def test_a_layer_by_hand():
    # 3 frames, width 4, inner 8: projections 4·2·3·4·4, scores and sums 2·2·3·3·4, ff 2·2·3·4·8.
    assert layer_flops(3, 4, 8) == 384 + 144 + 384


def test_counts_are_those_of_torch():
    conv, linear = nn.Conv1d(3, 5, 3, padding=1), nn.Linear(7, 2)
    x, y = torch.randn(1, 3, 11), torch.randn(4, 7)
    assert traced_flops(lambda: conv(x)) == conv_flops(11, 3, 5, 3)
    assert traced_flops(lambda: linear(y)) == 2 * 4 * 7 * 2


def test_the_whole_encoder_is_what_torch_counts():
    model = paper_size.encoder(quick=True)
    features, mask = torch.randn(1, 128, 64), torch.ones(1, 64, dtype=torch.int64)
    counted = traced_flops(lambda: model(features, mask))
    expected = encoder_flops(model.config, 64)
    # torch may leave attention or the distances to the codes in operators it does not count.
    assert 0.8 * expected <= counted <= 1.05 * expected


def test_the_paper_size_in_gflop():
    # Convolutions 17.7, sixteen layers of 32.4, codes 15.7.
    total = encoder_flops(paper_size.encoder_config(), 3000) / 1e9
    assert round(total, 1) == 551.4


def test_pooling_later_costs_more():
    shape = dict(d_model=8, encoder_layers=4, encoder_attention_heads=2, encoder_ffn_dim=16,
                 num_mel_bins=80, pooling_kernel_size=2, pooling_type="avg",
                 quantize_vocab_size=16, quantize_position=4,
                 quantize_encoder_only=True)  # fmt: skip
    early = encoder_flops(UniAudioConfig(pooling_position=0, **shape), 400)
    late = encoder_flops(UniAudioConfig(pooling_position=2, **shape), 400)
    assert late - early == 2 * (layer_flops(200, 8, 16) - layer_flops(100, 8, 16))


def test_passes_of_settings():
    assert Setting(10, "euler").evaluations() == 20
    assert Setting(5, "midpoint").evaluations() == 20
    assert Setting(6, "ab2", (2.0, 3.0)).evaluations() == 6
