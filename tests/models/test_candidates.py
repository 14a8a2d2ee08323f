"""Colours chosen from candidates: against torch's distributions, and against exact posteriors."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from test_models import train
from torch import distributions as D

from colorlab.data.loaders import Batch
from colorlab.models import build
from colorlab.models.candidates import (
    FLOOR,
    CandidateFlow,
    CandidateFlowConfig,
    Candidates,
    Pointers,
    SeenCandidates,
    pointing_error,
    pool,
    surprise,
)

SEEN = (8, 12, 16)


def maps() -> tuple[torch.Tensor, ...]:
    random = torch.Generator().manual_seed(0)
    sizes = zip(SEEN, (8, 4, 2), strict=True)
    return tuple(torch.randn(2, c, s, s, generator=random) for c, s in sizes)


def identity_links(side: int) -> torch.Tensor:
    """Each position to its own cell of 2x2."""
    cell = torch.arange((side // 2) ** 2).view(1, 1, side // 2, side // 2).float()
    return F.one_hot(F.interpolate(cell, scale_factor=2).flatten().long()).float()[None]


def known(colours, shares, sigma: float, side: int = 8) -> SeenCandidates:
    """Everywhere the same mixture."""
    c = torch.tensor(colours).mT[None, :, :, None, None].expand(1, 2, -1, side, side)
    p = torch.tensor(shares).log()[None, :, None, None].expand(1, -1, side, side)
    mean = (c * p.exp()[:, None]).sum(2)
    return SeenCandidates(mean, c, p, torch.full_like(p, sigma), identity_links(side))


def model(size: int = 32, **settings) -> CandidateFlow:
    torch.manual_seed(0)
    made = CandidateFlow(CandidateFlowConfig(size=size, **settings))
    made.start_from(build("unet", size=size).eval())
    return made


def test_surprise_is_the_negative_log_density_of_torch():
    torch.manual_seed(0)
    colours, log_share, sigma = Candidates(SEEN, 3)(maps(), torch.randn(2, 2, 8, 8))
    clean = torch.randn(2, 2, 8, 8)
    std = (sigma + FLOOR).movedim(1, -1)[..., None]
    mixture = D.MixtureSameFamily(
        D.Categorical(logits=log_share.movedim(1, -1)),
        D.Independent(D.Normal(colours.permute(0, 3, 4, 2, 1), std), 1),
    )
    want = -mixture.log_prob(clean.movedim(1, -1)).mean() - torch.tensor(2 * torch.pi).log()
    torch.testing.assert_close(surprise(colours, log_share, sigma, clean), want)


def test_links_are_means_and_reach_farther_when_followed():
    torch.manual_seed(0)
    pointers = Pointers(SEEN)
    near, far = pointers(maps()), pointers(maps(), 3)
    for links in (near, far):
        assert links.shape == (2, 64, 16)
        torch.testing.assert_close(links.sum(-1), torch.ones(2, 64))
    assert far.square().sum(-1).mean() < near.square().sum(-1).mean(), "over more cells"
    L = 100 * torch.rand(1, 1, 64, 64)
    near, far = (model(64, doublings=1, further=f).eval().look(L).links for f in (0, 2))
    assert far.square().sum() < near.square().sum(), "samples follow them farther"


def test_pooling_keeps_images_and_samples_apart():
    random = torch.Generator().manual_seed(0)
    links = torch.rand(2, 64, 16, generator=random).softmax(-1)
    x = torch.randn(3 * 2, 2, 8, 8, generator=random)  # three samples of two images
    for i, one in enumerate(x):
        torch.testing.assert_close(pool(links, x)[i], pool(links[i % 2, None], one[None])[0])
    flat = torch.ones(2, 2, 8, 8)
    torch.testing.assert_close(pool(links, flat), flat)


def test_pointing_error_is_what_noise_and_other_colours_cost():
    clean = torch.zeros(1, 2, 8, 8)
    clean[..., 4:] = 1.0
    everywhere = torch.full((1, 64, 16), 1 / 16)
    assert pointing_error(everywhere, clean, 0.4) == pytest.approx(2 * 0.25 + 0.4 / 16)
    assert pointing_error(identity_links(8), clean, 0.4) == pytest.approx(0.4)


@pytest.mark.parametrize("t", [0.1, 0.7])
def test_the_denoised_estimate_is_the_exact_posterior_mean(t):
    # Two candidates of one sigma, noise equal over a cell: the pooled state is the state, and
    # with pooled_noise 1 the estimate is that of a Gaussian mixture under Gaussian noise.
    colours, shares, sigma = [[1.5, 0.0], [-0.5, 1.0]], [0.3, 0.7], 0.2
    seen = known(colours, shares, sigma)
    state = torch.tensor([0.4, 0.2])[None, :, None, None].expand(1, 2, 8, 8)
    exact = model(pooled_noise=1.0, sharpness=1.0)
    got = exact.clean(state, torch.tensor([t]), seen)[0, :, 3, 3]

    # The mean of the clean ab by importance sampling, weighted with the state's likelihood.
    random = torch.Generator().manual_seed(1)
    which = torch.multinomial(torch.tensor(shares), 400_000, replacement=True, generator=random)
    clean = torch.tensor(colours)[which]
    clean = clean + sigma * torch.randn(clean.shape, generator=random)
    log_weight = -((state[0, :, 3, 3] - t * clean) / (1 - t)).square().sum(1) / 2
    want = (log_weight.softmax(0)[:, None] * clean).sum(0)
    torch.testing.assert_close(got, want, atol=0.01, rtol=0.01)


def test_samples_take_known_candidates_as_often_as_stated():
    # White noise: 64 cells of an image choose each for itself.
    white = model(reach=0.0, pooled_noise=0.25, sharpness=1.0)
    colours = torch.tensor([[1.0, 0.0], [-1.0, 0.5], [0.0, -1.0]])
    shares = torch.tensor([0.5, 0.3, 0.2])
    seen = known(colours.tolist(), shares.tolist(), 0.05, side=16)
    noise = torch.randn(64, 1, 2, 16, 16, generator=torch.Generator().manual_seed(0))
    drawn = white.to_units(white.denoise(seen, noise, steps=40))
    cells = F.avg_pool2d(drawn.flatten(0, 1), 2).permute(0, 2, 3, 1).reshape(-1, 2)
    distance = torch.cdist(cells, colours)
    assert (distance.min(1).values < 0.3).float().mean() > 0.9, "none between"
    share = torch.bincount(distance.argmin(1), minlength=3) / len(cells)
    assert (share - shares).abs().max() < 0.05


def test_two_colours_for_one_gray_are_learned_and_sampled_as_often_as_seen():
    L = torch.full((4, 1, 32, 32), 50.0)
    red, blue = torch.tensor([50.0, 30.0]), torch.tensor([0.0, -45.0])
    ab = torch.stack((red, red, red, blue))[:, :, None, None].expand(4, 2, 8, 8)
    trained = train(model(linked=4), Batch(L, ab, lambda: None), 200, 1e-2)
    drawn = trained.answers(L[:1], 256, torch.Generator().manual_seed(0))[:, 0].mean(dim=(2, 3))
    near_red, near_blue = ((drawn - c).norm(dim=1) < 15 for c in (red, blue))
    assert (near_red | near_blue).float().mean() > 0.95
    assert near_blue.float().mean().item() == pytest.approx(0.25, abs=0.1)


def test_an_image_has_the_same_samples_alone_and_among_others():
    flow_model = model(steps=3).eval()
    L = 100 * torch.rand(3, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    noise = flow_model.noise(L, 2, torch.Generator().manual_seed(5))
    with torch.no_grad():
        together = flow_model.denoise(flow_model.look(L), noise)
        alone = flow_model.denoise(flow_model.look(L[1:2]), noise[:, 1:2])
    torch.testing.assert_close(together[:, 1:2], alone, atol=1e-3, rtol=1e-3)


def test_only_the_heads_learn_and_what_cannot_be_is_refused():
    (player,) = model().players()
    names = {name.split(".")[0] for name, _ in player.module.named_parameters()}
    assert names == {"candidates", "pointers"}
    with pytest.raises(ValueError, match="start_from"):
        CandidateFlow(CandidateFlowConfig(size=32)).players()
    with pytest.raises(ValueError, match="target must be 'ab', got 'rgb'"):
        CandidateFlow(CandidateFlowConfig(target="rgb"))
    with pytest.raises(ValueError, match=r"guidance 1 .*got 'clean' and 2"):
        CandidateFlowConfig(guidance=2.0)


def test_links_are_in_float32_under_autocast():
    torch.manual_seed(0)
    pointers = Pointers((8, 8, 8))
    maps = tuple(20 * torch.randn(1, 8, side, side) for side in (16, 8, 4))
    x = torch.randn(2, 2, 16, 16)
    with torch.autocast("cpu", torch.bfloat16):
        features = super(Pointers, pointers).forward(maps)
        links = pointers(maps, 2)
        pooled = pool(links, x)
    torch.testing.assert_close(links, pointers._links(features, 2))
    torch.testing.assert_close(pooled, pool(links, x))
