"""HyperPyYAML as data: a release-like config is understood, and nothing can run."""

import json
from pathlib import Path

import pytest
from safetensors import safe_open

from unisono.errors import ConfigError
from unisono.synthesis import FlowDecoder, HiFTVocoder
from unisono.synthesis.hyperyaml import Node, decoder_configs, load_hyperyaml, parse_hyperyaml

GOLDEN = Path(__file__).parents[1] / "golden"

RELEASE = """
__set_seed1: !apply:random.seed [1986]
__set_seed2: !apply:torch.cuda.manual_seed_all [1986]
sample_rate: 22050
mels: 20
width: 32
flow: !new:cosyvoice.flow.flow.MaskedDiffWithXvec
  input_size: !ref <width>
  output_size: !ref <mels>
  spk_embed_dim: 192
  output_type: 'mel'
  vocab_size: 64
  input_frame_rate: 25
  only_mask_loss: True
  encoder: !new:some.where.BlockConformerEncoder
    input_size: !ref <width>
    output_size: !ref <flow[encoder][input_size]>
    attention_heads: 4
    linear_units: !ref <width> * 2
    num_blocks: 2
    dropout_rate: 0.1
    positional_dropout_rate: 0.1
    attention_dropout_rate: 0.1
    normalize_before: True
    input_layer: 'linear'
    pos_enc_layer_type: 'rel_pos_espnet'
    selfattention_layer_type: 'block_rel_selfattn'
    use_cnn_module: False
    macaron_style: False
    use_dynamic_chunk: False
    use_dynamic_left_chunk: False
    static_chunk_size: 1
    block_size: 5
  length_regulator: !new:cosyvoice.flow.length_regulator.InterpolateRegulator
    channels: !ref <mels>
    sampling_ratios: [1, 1, 1, 1]
  decoder: !new:cosyvoice.flow.flow_matching.ConditionalCFM
    in_channels: 60
    n_spks: 1
    spk_emb_dim: 20
    cfm_params: !new:omegaconf.DictConfig
      content:
        sigma_min: 1.0e-06
        solver: 'euler'
        t_scheduler: 'cosine'
        training_cfg_rate: 0.2
        inference_cfg_rate: 0.7
        reg_loss_type: 'l1'
    estimator: !new:cosyvoice.flow.decoder.ConditionalDecoder
      in_channels: 80
      out_channels: 20
      channels: [32, 32]
      dropout: 0.0
      attention_head_dim: 8
      n_blocks: 1
      num_mid_blocks: 2
      num_heads: 4
      act_fn: 'gelu'
hift: !new:cosyvoice.hifigan.generator.HiFTGenerator
  in_channels: 20
  base_channels: 32
  nb_harmonics: 8
  sampling_rate: !ref <sample_rate>
  nsf_alpha: 0.1
  nsf_sigma: 0.003
  nsf_voiced_threshold: 10
  upsample_rates: [8, 8]
  upsample_kernel_sizes: [16, 16]
  istft_params:
    n_fft: 16
    hop_len: 4
  resblock_kernel_sizes: [3, 7, 11]
  resblock_dilation_sizes: [[1, 3, 5], [1, 3, 5], [1, 3, 5]]
  source_resblock_kernel_sizes: [7, 11]
  source_resblock_dilation_sizes: [[1, 3, 5], [1, 3, 5]]
  lrelu_slope: 0.1
  audio_limit: 0.99
  f0_predictor: !new:cosyvoice.hifigan.f0_predictor.ConvRNNF0Predictor
    num_class: 1
    in_channels: 20
    cond_channels: 24
feat_extractor: !name:matcha.utils.audio.mel_spectrogram
  n_fft: 1024
  hop_size: 256
"""


def golden_config(name):
    with safe_open(GOLDEN / name, "pt") as file:
        return json.loads(file.metadata()["config"])


def test_release_config_gives_the_golden_configs(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(RELEASE)
    flow, hift = decoder_configs(load_hyperyaml(path))
    assert hift == golden_config("hift.safetensors")
    want = golden_config("flow_block_chunk1_prompt7.safetensors")
    assert {k: v for k, v in flow.items() if k in want} == want
    assert flow["mel"] == {"rate": 22050, "hop": 256}
    assert FlowDecoder.from_reference(flow).frames(31) == 106
    assert HiFTVocoder.from_reference(hift).hop == 256


def test_tags_become_nodes():
    tree = parse_hyperyaml("a: !new:x.y.ConditionalCFM {b: 1}\nc: !name:torch.mel_spectrogram\n")
    assert tree["a"] == Node("new", "x.y.ConditionalCFM", [], {"b": 1})
    assert tree["c"].kind == "name" and tree["c"].name == "mel_spectrogram"


def test_references():
    tree = parse_hyperyaml(
        "a: 3\nb: !ref <a>\nc: !ref <b> * 2 + 1\nd: !ref <list[1]>\nlist: [5, 6]\n"
        "e: !ref <word>/file\nword: here\nf: !ref <a> // 2\n"
    )
    assert (tree["b"], tree["c"], tree["d"], tree["e"], tree["f"]) == (3, 7, 6, "here/file", 1)


@pytest.mark.parametrize(
    "text, words",
    [
        ("a: !!python/object/apply:os.system ['touch {mark}']", "python/object/apply:os.system"),
        ("a: !!python/name:os.system", "python/name:os.system"),
        ("a: !!python/object:subprocess.Popen {args: 'touch {mark}'}", "subprocess.Popen"),
        ("a: !!python/tuple [1]", "python/tuple"),
        ("a: !new:os.system ['touch {mark}']", "os.system"),
        ("a: !new:subprocess.Popen {args: 'touch {mark}'}", "subprocess.Popen"),
        ("a: !apply:os.system ['touch {mark}']", "os.system"),
        ("a: !apply:evil.seed [1]", "evil.seed"),
        ("a: !name:builtins.eval", "builtins.eval"),
        ("a: !module:os", "module:os"),
        ("a: !include:/etc/passwd", "include"),
        ("a: !new:torch.nn.Linear {in_features: 1}", r"torch\.nn\.Linear"),
        ("a: {b: [!new:x.Unheard {}]}", r"x\.Unheard"),
        ("a: 1\nb: !ref <a>.__class__()", None),
        ("a: 2\nb: !ref <a> ** 999999999", "arithmetic"),
        ("a: 2\nb: !ref __import__('os').system('touch {mark}') or <a>", "arithmetic"),
        ("a: !ref <b>\nb: !ref <a>", "leads back to itself"),
        ("a: !ref <a>", "leads back to itself"),
        ("a: {b: !ref <a>}", "leads back to itself"),
        ("a: !ref <nothing>", "points at nothing"),
        ("a: [1", "not a YAML"),
        ("- 1", "named values"),
        ("", "named values"),
    ],
)
def test_attacks_and_faults_are_refused(text, words, tmp_path):
    mark = tmp_path / "mark"
    with pytest.raises(ConfigError, match=words):
        parse_hyperyaml(text.replace("{mark}", str(mark)))
    assert not mark.exists()


def test_growth_without_end_is_refused():
    lines = ["a0: [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: [{', '.join([f'!ref <a{i - 1}>'] * 9)}]" for i in range(1, 12)]
    with pytest.raises(ConfigError, match="grows beyond"):
        parse_hyperyaml("\n".join(lines))
    anchors = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    anchors += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    with pytest.raises(ConfigError, match="grows beyond"):
        parse_hyperyaml("\n".join(anchors))
    with pytest.raises(ConfigError):
        parse_hyperyaml("a: &a [*a]")
    with pytest.raises(ConfigError):
        parse_hyperyaml("a: " + "[" * 5000 + "]" * 5000)


@pytest.mark.parametrize(
    "old, new, words",
    [
        ("hift: !new:cosyvoice.hifigan.generator.HiFTGenerator", "hift:", "'hift' must be"),
        ("some.where.BlockConformerEncoder", "x.ConditionalCFM", "'encoder' must be"),
        ("hop_size: 256", "hop_size: 300", "hop_size 300"),
        ("sampling_ratios: [1, 1, 1, 1]", "sampling_ratios: !new:x.DictConfig {}", "DictConfig"),
    ],
)
def test_misfits_are_named(old, new, words):
    assert old in RELEASE
    with pytest.raises(ConfigError, match=words):
        decoder_configs(parse_hyperyaml(RELEASE.replace(old, new)))


def test_missing_binary_and_huge_files(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        load_hyperyaml(tmp_path / "none.yaml")
    (tmp_path / "binary.yaml").write_bytes(bytes(range(256)))
    with pytest.raises(ConfigError, match="cannot be read"):
        load_hyperyaml(tmp_path / "binary.yaml")
    (tmp_path / "huge.yaml").write_text("a: 1\n" * 300_000)
    with pytest.raises(ConfigError, match="larger"):
        load_hyperyaml(tmp_path / "huge.yaml")


def test_numbers_without_a_point_before_the_exponent_are_numbers(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("sigma_min: 1e-06\nname: e6\n")
    assert load_hyperyaml(path) == {"sigma_min": 1e-06, "name": "e6"}
