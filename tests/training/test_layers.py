"""Compiled layers, and layers computed again, give the same numbers."""

from __future__ import annotations

import pytest
import torch
from debug_runs import CONFIGS
from joint_task import run
from torch import nn

from unisono.errors import ConfigError
from unisono.training.config import CompileSection, load_config
from unisono.training.layers import checkpoint_activations, compile_layers, repeated_layers
from unisono.training.state import load_checkpoint
from unisono.uniaudio import UniAudioConfig, UniAudioEncoder

CPU = torch.device("cpu")


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    options = load_config(CONFIGS / "debug-encoder.yaml").options["encoder"]
    return UniAudioEncoder(UniAudioConfig.from_reference(options)).train()


def gradients(encoder):
    """Of a loss through the layers, on a fixed input, in evaluation of the codebook."""
    encoder.quantizer.eval()
    features = torch.randn(1, 80, 64, generator=torch.Generator().manual_seed(1))
    out = encoder.run_layers(encoder.embed(features), 2)
    out.hidden.square().mean().backward()
    return {n: p.grad.clone() for n, p in encoder.named_parameters() if p.grad is not None}


def test_layers_are_the_outermost_lists_with_weights(encoder):
    assert [name for name, _ in repeated_layers(encoder)] == ["layers.0", "layers.1", "layers.2"]
    parts = nn.ModuleList([nn.Linear(1, 1), nn.ReLU(), nn.ModuleList([nn.Linear(1, 1)])])
    nested = nn.Sequential(nn.ReLU(), nn.Sequential(nn.ModuleList([parts])))
    assert [name for name, _ in repeated_layers(nested)] == ["1.0.0.0", "1.0.0.2.0"]


def test_layers_computed_again_give_the_same_gradients(encoder):
    inner = []
    encoder.layers[0].fc1.register_forward_pre_hook(lambda *_: inner.append(1))
    before = gradients(encoder)
    assert len(inner) == 1
    encoder.zero_grad()
    checkpoint_activations([encoder, nn.Linear(1, 1)])
    after = gradients(encoder)
    assert len(inner) == 3  # forward, and again in the backward pass
    assert before.keys() == after.keys() and len(before) > 10
    for name, gradient in before.items():
        torch.testing.assert_close(after[name], gradient)


def test_no_module_that_can_compute_again_is_an_error():
    with pytest.raises(ConfigError, match="leave the option out"):
        checkpoint_activations([nn.Linear(1, 1)])


class Block(nn.Module):
    """Parts that are called by another method than forward."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(2))

    def run_layers(self, x):
        for layer in self.layers:
            x = layer(x).tanh()
        return x


def test_the_compiler_of_this_machine_gives_the_same_gradients(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    torch.manual_seed(0)
    block, x = Block(), torch.randn(3, 4)
    names = list(block.state_dict())
    block.run_layers(x).square().sum().backward()
    before = [p.grad.clone() for p in block.parameters()]
    block.zero_grad()
    assert compile_layers([block], CompileSection(), CPU) == 2
    block.run_layers(x).square().sum().backward()
    assert list(block.state_dict()) == names
    for parameter, gradient in zip(block.parameters(), before, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, atol=1e-6, rtol=1e-5)
    assert any(tmp_path.rglob("*.cpp"))


def test_whispers_layers_compile(encoder):
    before = gradients(encoder)
    encoder.zero_grad()
    assert compile_layers([encoder], CompileSection(backend="aot_eager"), CPU) == 3
    after = gradients(encoder)
    for name, gradient in before.items():
        torch.testing.assert_close(after[name], gradient, atol=1e-6, rtol=1e-5)


def test_a_compiled_run_is_about_the_plain_run(tmp_path):
    run(tmp_path / "plain", steps=4)
    run(tmp_path / "compiled", steps=4, compile={"backend": "aot_eager"})
    plain, compiled = (load_checkpoint(tmp_path / n)["modules"] for n in ("plain", "compiled"))
    for name, module in plain.items():
        assert module.keys() == compiled[name].keys()
        for key, tensor in module.items():
            torch.testing.assert_close(compiled[name][key], tensor, atol=1e-4, rtol=1e-4)


def test_a_backend_that_cannot_compile_here_is_named(tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match=r"backend nonsense does not work here.*compile=false"):
        run(tmp_path / "run", compile={"backend": "nonsense"})
    # No C++ compiler, and nothing compiled before that could stand in for it.
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "cache"))
    torch.compiler.reset()
    import torch._inductor.config as inductor

    with (
        inductor.patch({"cpp.cxx": ("/no/such/compiler",), "force_disable_caches": True}),
        pytest.raises(ConfigError, match=r"backend inductor .*install a C\+\+ compiler"),
    ):
        compile_layers([nn.Linear(1, 1)], CompileSection(), CPU)
