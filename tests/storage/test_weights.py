"""Weights: round trips, int8 error bounds, damaged files."""

from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save

from unisono.errors import ModelError
from unisono.storage.weights import int4_roundtrip, load_weights, read_metadata, save_weights


def test_tensors_and_metadata_come_back(tmp_path: Path) -> None:
    tensors = {
        "a": torch.randn(3, 4),
        "b": torch.arange(5),
        "half": torch.randn(2).half(),
        "scalar": torch.tensor(1.5),
    }
    save_weights(tmp_path / "w.safetensors", tensors, {"model": "x"})
    back = load_weights(tmp_path / "w.safetensors")
    assert set(back) == set(tensors)
    for name, tensor in tensors.items():
        assert back[name].dtype == tensor.dtype
        torch.testing.assert_close(back[name], tensor, rtol=0, atol=0)
    assert read_metadata(tmp_path / "w.safetensors") == {"model": "x"}


def test_shared_and_strided_tensors(tmp_path: Path) -> None:
    base = torch.randn(4, 6)
    tensors = {"tied": base, "again": base, "view": base.view(6, 4), "turned": base.T}
    save_weights(tmp_path / "w.safetensors", tensors)
    for name, tensor in load_weights(tmp_path / "w.safetensors").items():
        torch.testing.assert_close(tensor, tensors[name], rtol=0, atol=0)


@pytest.mark.parametrize("shape", [(16, 32), (8, 4, 3), (2, 3, 3, 3)])
@pytest.mark.parametrize("size", [1e-6, 1e-3, 1.0, 1e4])
def test_int8_error_is_at_most_half_a_step(tmp_path: Path, shape, size) -> None:
    torch.manual_seed(0)
    weight = (
        torch.randn(shape)
        * size
        * torch.logspace(-1, 1, shape[0]).view(-1, *[1] * (len(shape) - 1))
    )
    weight[0] = 0
    save_weights(tmp_path / "w.safetensors", {"w": weight, "b": torch.ones(3)}, int8=("w",))
    back = load_weights(tmp_path / "w.safetensors")
    assert set(back) == {"w", "b"} and back["w"].shape == weight.shape
    assert back["w"].dtype == torch.float32
    largest = weight.flatten(1).abs().amax(1)
    # Half a step of the row, and the resolution of a float16 scale for very small rows.
    bound = largest / 127 * 0.502 + 2.0**-24
    error = (back["w"] - weight).flatten(1).abs().amax(1)
    assert (error <= bound).all()
    assert not back["w"][0].any()


def test_int8_file_is_a_quarter(tmp_path: Path) -> None:
    weight = torch.randn(256, 256)
    save_weights(tmp_path / "w.safetensors", {"w": weight}, int8=("w",))
    assert (tmp_path / "w.safetensors").stat().st_size < weight.numel() * 1.05


@pytest.mark.parametrize(
    ("tensors", "names"),
    [
        ({"w": torch.ones(3)}, ("w",)),
        ({"w": torch.ones(3, 3, dtype=torch.int32)}, ("w",)),
        ({"w": torch.full((2, 2), torch.inf)}, ("w",)),
        ({"w": torch.ones(2, 2)}, ("v",)),
        ({"w": torch.ones(2, 2), "w.scale": torch.ones(2)}, ("w",)),
    ],
)
def test_int8_that_cannot_be(tmp_path: Path, tensors, names) -> None:
    with pytest.raises(ValueError, match=r"int8|NAME"):
        save_weights(tmp_path / "w.safetensors", tensors, int8=names)
    assert not list(tmp_path.iterdir())


def test_missing_truncated_and_foreign_files(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    with pytest.raises(ModelError, match=r"w\.safetensors does not exist"):
        load_weights(path)
    save_weights(path, {"a": torch.randn(100)})
    whole = path.read_bytes()
    for damaged in (whole[:-5], whole[:20], b"", b"not tensors at all, just words " * 9):
        path.write_bytes(damaged)
        with pytest.raises(ModelError, match=r"w\.safetensors is not a whole"):
            load_weights(path)


def test_half_an_int8_pair_is_told(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_weights(path, {"w.int8": torch.ones(2, 2, dtype=torch.int8)})
    with pytest.raises(ModelError, match=r"lacks w\.scale"):
        load_weights(path)
    save_weights(path, {"w.int8": torch.ones(2, 2), "w.scale": torch.ones(2)})
    with pytest.raises(ModelError, match=r"malformed w\.int8"):
        load_weights(path)


def test_an_unwritable_place_leaves_the_old_file(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="does not exist; create it"):
        save_weights(tmp_path / "no" / "w.safetensors", {"a": torch.ones(1)})
    assert not list(tmp_path.iterdir())


def test_int4_is_close_small_and_the_best_of_its_scales(tmp_path: Path) -> None:
    torch.manual_seed(0)
    tensor = torch.randn(40, 128)
    tensor[3] = 0
    tensor[5, :64] = 0
    tensor[5, 7] = 50.0
    path = tmp_path / "w.safetensors"
    save_weights(path, {"a": tensor, "b": tensor.clone()}, int4=["a"], int8=["b"])
    back = load_weights(path)
    assert torch.equal(back["a"], int4_roundtrip(tensor))
    assert not back["a"][3].any() and back["a"][5, 7] == pytest.approx(50, rel=1e-3)
    error = (back["a"] - tensor)[:3].square().mean() / tensor[:3].square().mean()
    assert 0.004 < error < 0.02  # a step is about 2.4 deviations / 7: its square / 12 is 0.01
    plain = tensor[:3].unflatten(1, (-1, 64))
    step = plain.abs().amax(-1, keepdim=True) / 7
    naive = ((plain / step).round() * step - plain).square().mean() / plain.square().mean()
    assert error < naive
    with safe_open(path, "pt") as file:
        assert file.get_slice("a.int4").get_shape() == [40, 64]
        assert file.get_slice("a.scale").get_shape() == [40, 2]


@pytest.mark.parametrize("shape", [(4, 63), (64,), (2, 64, 2)])
def test_int4_needs_a_matrix_of_whole_groups(tmp_path: Path, shape) -> None:
    with pytest.raises(ValueError, match="multiple of 64"):
        save_weights(tmp_path / "w", {"a": torch.zeros(shape)}, int4=["a"])


def test_a_malformed_int4_pair_is_told(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    wrong = {"a.int4": torch.zeros(2, 32, dtype=torch.uint8), "a.scale": torch.zeros(2, 2).half()}
    path.write_bytes(save(wrong))
    with pytest.raises(ModelError, match=r"malformed a\.int4"):
        load_weights(path)
