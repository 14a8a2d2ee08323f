"""A classifier learns how often each colour comes, where a regressor learns their mean."""

import pytest
import torch

from colorlab.color_bins import bin_centres
from colorlab.data.loaders import Batch
from colorlab.models import build

RED, BLUE = (60.0, 40.0), (20.0, -60.0)


def world(step: int) -> Batch:
    """Gray images of noise, which tells nothing; each is all red, one in four, or all blue."""
    generator = torch.Generator().manual_seed(step)
    is_red = torch.rand(16, generator=generator) < 0.25
    ab = torch.where(is_red[:, None], torch.tensor(RED), torch.tensor(BLUE))
    ab = ab[..., None, None].expand(-1, -1, 8, 8)
    L = 50 + 10 * torch.randn(16, 1, 32, 32, generator=generator).clamp(-3, 3)
    return Batch(L, ab, make_picture=lambda: pytest.fail("unused"))


@pytest.mark.parametrize(("mix", "want"), [(1.0, (0.25, 0.75)), (0.01, (0.5, 0.5))])
def test_it_learns_how_often_each_colour_comes_and_rebalancing_raises_the_rare_one(mix, want):
    torch.manual_seed(0)
    model = build("classifier", size=32, widths=(8, 8, 8, 8), attention=False, mix=mix)
    (player,) = model.players()
    optimizer = torch.optim.AdamW(player.module.parameters(), lr=1e-2, weight_decay=0)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 200)
    for step in range(200):
        (loss,) = player.loss(world(step)).values()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        p = model.eval().logits(world(0).L).softmax(dim=1).mean(dim=(0, 2, 3))
    near = [(bin_centres() - torch.tensor(c)).norm(dim=1) < 11 for c in (RED, BLUE)]
    assert [float(p[n].sum()) for n in near] == pytest.approx(want, abs=0.08)


def test_it_starts_from_a_unet_and_classifies_ab_only():
    unet, model = build("unet", size=64), build("classifier", size=64)
    model.start_from(unet)
    for name, value in unet.state_dict().items():
        if not name.startswith("head."):
            torch.testing.assert_close(model.state_dict()[name], value)
    with pytest.raises(ValueError, match="'ab', got 'rgb'"):
        build("classifier", target="rgb")
