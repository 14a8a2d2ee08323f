"""Pretrained encoders: frozen, shared, verified, and added to every model alike."""

import json

import pytest
import torch

from colorlab import checkpoints, data
from colorlab.data.loaders import make_batch
from colorlab.layers import Fusion
from colorlab.models import MODELS, build, encoders

L = torch.linspace(0, 100, 2 * 64 * 96).view(2, 1, 64, 96)


def test_folding_the_normalization_changes_nothing():
    torch.manual_seed(0)
    net = encoders.make_net("tf_efficientnet_lite0").eval()
    for module in net.modules():  # as trained: neither means of 0 nor variances of 1
        if hasattr(module, "running_mean"):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        before = [m.clone() for m in net(x)]
        after = encoders.fused(net)(x)
    for one, other in zip(before, after, strict=True):
        assert (one - other).abs().max() < 1e-4 * one.abs().max()


def test_the_encoder_tells_photographs_apart_by_more_than_their_lightness():
    """A control: the same values in another order are another image to it."""
    seen = make_batch(data.load("skimage", "test").rgb).L
    shuffled = seen.flatten(2)[..., torch.randperm(seen[0].numel())].view_as(seen)
    whole, broken = (encoders.encode("imagenet", x)[2].mean((2, 3)) for x in (seen, shuffled))
    apart = torch.cdist(whole, whole).fill_diagonal_(torch.inf).min()
    assert apart > 2 * torch.cdist(broken, broken).max(), "noise is noise, photographs differ"


def test_the_encoder_is_frozen_shared_and_no_part_of_a_model():
    starts = []
    for loaded in (False, True):  # initial weights do not depend on whether it was loaded
        if not loaded:
            encoders.load.cache_clear()
        torch.manual_seed(0)
        starts.append(build("unet", encoder="imagenet", fold=8).state_dict())
    assert all(torch.equal(starts[0][key], starts[1][key]) for key in starts[0])
    encoder, maps = encoders.load("imagenet"), encoders.encode("imagenet", L)
    assert [tuple(m.shape) for m in maps] == [(2, 40, 8, 12), (2, 112, 4, 6), (2, 320, 2, 3)]
    assert encoder.channels == (40, 112, 320) and encoders.encode("scratch", L) == ()
    assert encoder is encoders.load("imagenet")
    assert not encoder.training
    assert not any(p.requires_grad for p in encoder.parameters())
    assert not set(encoder.state_dict()) & set(starts[0])


@pytest.mark.parametrize("name", MODELS)
def test_every_model_sees_the_maps_and_may_be_given_them(name):
    torch.manual_seed(0)
    folded = {"fold": 8} if hasattr(MODELS[name][1], "fold") else {}
    model = build(name, encoder="imagenet", size=64, **folded).eval()
    for key, value in model.state_dict().items():  # heads start at zero
        if key.split(".")[-1] in ("weight", "bias") and "head" in key:
            value.normal_(0, 0.01)
    square = L[..., :64]
    maps = encoders.encode("imagenet", square)
    with torch.no_grad():
        alone, given = model(square), model(square, maps)
        other = model(square, tuple(0 * m for m in maps))
    assert torch.allclose(alone, given, atol=1e-4)
    assert not torch.allclose(alone, other, atol=1e-2), "the maps change nothing"


def test_fusion_adds_at_the_own_stride_and_enlarges_what_is_coarser():
    torch.manual_seed(0)
    fusion = Fusion((3, 5, 7), (8, 16, 32), {4: 2, 8: 4, 16: 6}).eval()
    maps = (torch.randn(1, 3, 8, 8), torch.randn(1, 5, 4, 4), torch.randn(1, 7, 2, 2))
    x4, x8, x16 = torch.zeros(1, 2, 16, 16), torch.zeros(1, 4, 8, 8), torch.zeros(1, 6, 4, 4)
    assert torch.equal(fusion(x4, 4, maps), x4)
    assert torch.equal(fusion(x8, 8, maps), fusion.project[0](maps[0]))
    both = fusion(x16, 16, maps)
    assert not torch.allclose(both, fusion.project[1](maps[1]))
    assert both.shape == x16.shape


def test_an_unknown_a_missing_and_an_exchanged_encoder_are_told(tmp_path, monkeypatch):
    there = "choose scratch, imagenet, or a model of timm"
    with pytest.raises(ValueError, match=f"unknown encoder 'imagnet'; {there}"):
        build("unet", encoder="imagnet")
    monkeypatch.setattr(encoders, "FOLDER", tmp_path)
    encoders.load.cache_clear()
    try:
        with pytest.raises(FileNotFoundError, match="fetch it again"):
            encoders.load("imagenet")
        (tmp_path / "encoder-imagenet.safetensors").write_bytes(b"other")
        (tmp_path / "encoder-imagenet.json").write_text(
            json.dumps({"sha256": "0" * 64, "architecture": "tf_efficientnet_lite0"})
        )
        with pytest.raises(ValueError, match="SHA-256 differs"):
            encoders.load("imagenet")
    finally:
        encoders.load.cache_clear()


def test_weights_name_their_encoder_and_refuse_another(tmp_path):
    model = build("unet", encoder="imagenet", fold=8, size=64).eval()
    file = checkpoints.save(model, "photos", {}, tmp_path)
    checkpoints.load(str(file))
    card = checkpoints.read_card(file)
    assert card["encoder_sha256"] == encoders.load("imagenet").sha256
    card["encoder_sha256"] = "0" * 64
    card["settings_sha256"] = checkpoints.cards.seal(card)
    file.with_suffix(".json").write_text(json.dumps(card))
    with pytest.raises(ValueError, match="another; fetch the two together"):
        checkpoints.load(str(file))
    card = encoders.read_card("imagenet")
    assert card["licence"] == "Apache-2.0"
    assert {"source", "source_sha256", "limits", "intended_use", "trained_on"} <= set(card)
