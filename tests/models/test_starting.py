"""Starting from trained weights: of the same model, or of a part."""

from __future__ import annotations

import pytest
import torch

from colorlab.models import build
from colorlab.models.unet import UNet

WIDTHS = (8, 16, 16, 16)


def stirred(name: str, **settings):
    torch.manual_seed(1)
    model = build(name, size=64, **settings)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.05 * torch.randn_like(p))
    return model


def test_the_same_model_takes_everything():
    begun, model = stirred("unet", widths=WIDTHS), build("unet", size=64, widths=WIDTHS)
    model.start_from(begun)
    L = 100 * torch.rand(1, 1, 64, 64)
    assert torch.equal(model.colorize(L), begun.colorize(L))


def test_a_model_with_a_unet_inside_puts_the_weights_there():
    class Around(UNet):
        def __init__(self, config):
            super().__init__(config)
            self.inner = UNet(config)

    begun = stirred("unet", widths=WIDTHS)
    model = Around(begun.config)
    stem = model.stem.block[0].weight.clone()
    model.start_from(begun)
    L = 100 * torch.rand(1, 1, 64, 64)
    assert torch.equal(model.inner.colorize(L), begun.colorize(L))
    assert torch.equal(model.stem.block[0].weight, stem), "the rest stays as it was"


def test_parts_of_the_same_name_and_shape_are_taken_whole_or_not_at_all():
    begun = stirred("unet", widths=WIDTHS)
    model = build("unet", size=64, widths=(8, 16, 16, 24))
    before = {k: v.clone() for k, v in model.state_dict().items()}
    model.start_from(begun)
    assert torch.equal(model.down1.norm.weight, begun.down1.norm.weight)
    changed = {k for k, v in model.state_dict().items() if not torch.equal(v, before[k])}
    # down3 differs in width: none of it, although some of its tensors would fit.
    assert not any(k.startswith(("down3", "bottom", "up2")) for k in changed)
    assert any(k.startswith("merge1") for k in changed)


def test_what_shares_nothing_is_refused():
    with pytest.raises(ValueError, match="UNet cannot start from ResNet: no part is shared"):
        build("unet", size=64, widths=WIDTHS).start_from(build("resnet", size=64))
