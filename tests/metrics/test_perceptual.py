"""LPIPS: equal to the `lpips` package, from a file that is what it should be, or not at all."""

from __future__ import annotations

import socket
import warnings

import pytest
import torch
from safetensors.torch import load_file, save_file
from torchvision.models import alexnet

from colorlab.metrics import LPIPSUnavailable, lpips, perceptual


@pytest.fixture
def random_backbone(tmp_path, monkeypatch):
    """A file with AlexNet's features, untrained: the same arithmetic, and it runs anywhere."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        features = alexnet(weights=None).features.state_dict()
    path = tmp_path / "features.safetensors"
    save_file({f"features.{name}": value for name, value in features.items()}, path)
    monkeypatch.setenv(perceptual.BACKBONE_VARIABLE, str(path))
    return path


def _reference(path):
    """The plain package with the file's features put in layer by layer, not by name."""
    import lpips as package

    tensors = load_file(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = package.LPIPS(net="alex", pnet_rand=True, verbose=False)
    layers = [m for m in network.net.modules() if isinstance(m, torch.nn.Conv2d)]
    for layer, number in zip(layers, (0, 3, 6, 8, 10), strict=True):
        layer.weight.data = tensors[f"features.{number}.weight"]
        layer.bias.data = tensors[f"features.{number}.bias"]
    return network.eval()


def _pair(n: int = 3, size: int = 64):
    g = torch.Generator().manual_seed(4)
    return torch.rand(n, 3, size, size, generator=g), torch.rand(n, 3, size, size, generator=g)


def test_equals_the_package(random_backbone):
    x, y = _pair()
    with torch.no_grad():
        expected = _reference(random_backbone)(2 * x - 1, 2 * y - 1).flatten()
    torch.testing.assert_close(lpips(x, y), expected, atol=1e-5, rtol=0)
    assert expected.min() > 1e-3  # far above the tolerance


def test_equal_pictures_are_at_distance_zero_and_batches_do_not_matter(random_backbone):
    x, y = _pair(n=18, size=32)  # more than one chunk
    assert lpips(x, x).abs().max() == 0
    torch.testing.assert_close(lpips(x, y)[17:], lpips(x[17:], y[17:]), atol=1e-6, rtol=0)
    with pytest.raises(ValueError, match=r"31x31"):
        lpips(*_pair(1, size=30))


def test_neither_random_state_nor_warnings_escape(random_backbone):
    before = torch.get_rng_state()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        lpips(*_pair(1))
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.pop("features.8.bias"), "features.8.bias"),
        (lambda t: t.update({"features.12.weight": torch.zeros(1)}), "features.12.weight"),
        (lambda t: t.update({"features.0.bias": torch.zeros(65)}), "features.0.bias"),
    ],
    ids=["missing", "unknown", "shape"],
)
def test_a_wrong_file_is_named(random_backbone, change, words):
    tensors = load_file(random_backbone)
    change(tensors)
    wrong = random_backbone.with_name("wrong.safetensors")
    save_file(tensors, wrong)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(perceptual.BACKBONE_VARIABLE, str(wrong))
        with pytest.raises(ValueError, match=rf"wrong.safetensors.*{words}"):
            lpips(*_pair(1))
        wrong.write_text("not tensors")
        with pytest.raises(ValueError, match=r"wrong.safetensors.*not a safetensors file"):
            lpips(*_pair(1))


def mock_offline(*_):
    raise socket.gaierror("no network here")


def test_without_file_and_network_it_says_why(tmp_path, monkeypatch):
    monkeypatch.setenv(perceptual.BACKBONE_VARIABLE, str(tmp_path / "absent.safetensors"))
    with pytest.raises(LPIPSUnavailable, match=r"absent.safetensors, which is not a file"):
        lpips(*_pair(1))
    monkeypatch.delenv(perceptual.BACKBONE_VARIABLE)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(socket, "getaddrinfo", mock_offline)
    with pytest.raises(LPIPSUnavailable, match=rf"alexnet.*{perceptual.BACKBONE_VARIABLE}"):
        lpips(*_pair(1))
