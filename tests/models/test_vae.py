"""VAE and UNetVAE: the bound, its balance, the effect of the latent, and the two recipes."""

import dataclasses

import pytest
import torch
from tiny import every_target, picture, seeded, stir
from torch.distributions import Categorical, MultivariateNormal, Normal, kl_divergence

from colorlab.data.loaders import Batch
from colorlab.latents import CategoricalField
from colorlab.models import build
from colorlab.models.vae import REFERENCE_BETA, sample

every_vae = pytest.mark.parametrize("name", ["vae", "unet_vae"])


def stirred(name: str, **settings) -> torch.nn.Module:
    return stir(build(name, size=64, **settings)).eval()


def by_torch(latent) -> MultivariateNormal | Categorical:
    """A latent's distribution, by torch: of categories, or of Gaussians over a map's positions."""
    if isinstance(latent, CategoricalField):
        return Categorical(latent.log_prob.movedim(2, -1).double().exp())
    mean, std = (x.flatten(2).double() for x in (latent.mean, latent.log_std.exp()))
    h, w = latent.mean.shape[-2:]
    reach = getattr(latent, "reach", 1e-9)  # independent positions
    at = torch.tensor([[i, j] for i in range(h) for j in range(w)], dtype=torch.float64)
    correlation = (-torch.cdist(at, at) / reach).exp()
    return MultivariateNormal(mean, std[..., :, None] * correlation * std[..., None, :])


def nats(model, batch: Batch) -> torch.Tensor:
    """KL(posterior || prior) of each image, by torch.distributions."""
    seen = model.look(batch.L)
    posterior, prior = model.posterior(seen, batch.L, batch.ab), model.prior(seen)
    each = [
        kl_divergence(by_torch(posterior[k]), by_torch(prior[k])).flatten(1).sum(dim=1)
        for k in posterior
    ]
    return sum(each).float()


def loss(model, batch: Batch) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return model.players()[0].loss(batch)


def reconstruction(model, batch: Batch) -> torch.Tensor:
    """The prediction that :func:`loss` compares with the truth."""
    torch.manual_seed(0)
    seen = model.look(batch.L)
    return model.decode(seen, sample(model.posterior(seen, batch.L, batch.ab)))


@every_vae
@every_target
def test_reference_loss_is_averaged_mse_plus_a_thousandth_of_summed_kl(name, target):
    model, batch = stirred(name, target=target, recipe="reference"), picture(3)
    answer = reconstruction(model, batch)
    error = (answer - batch.ab) / 110 if target == "ab" else answer - batch.rgb
    got = loss(model, batch)
    torch.testing.assert_close(got["reconstruction"], error.square().mean())
    torch.testing.assert_close(got["kl"], 0.001 * nats(model, batch).mean(), rtol=1e-3, atol=1e-6)
    assert REFERENCE_BETA == 0.001


@every_vae
def test_conditional_loss_is_the_negative_bound_per_value_of_ab(name):
    # -log N(ab; answer, sigma^2) without its constant, and the KL, both summed over an image.
    model, batch = stirred(name, sigma=7.0, beta=0.5, free_bits=0.0), picture(3)
    answer, values = reconstruction(model, batch), 2 * 16 * 16
    likelihood = Normal(answer, 7.0).log_prob(batch.ab) - Normal(answer, 7.0).log_prob(answer)
    got = loss(model, batch)
    want = -likelihood.sum(dim=(1, 2, 3)).mean() / values
    torch.testing.assert_close(got["reconstruction"], want, rtol=1e-4, atol=1e-6)
    want = 0.5 * nats(model, batch).mean() / values
    torch.testing.assert_close(got["kl"], want, rtol=1e-3, atol=1e-6)


@every_vae
@every_target
def test_beta_means_the_same_for_any_batch_size(name, target):
    model, one = stirred(name, target=target), picture(1)
    three = Batch(
        *(x.expand(3, -1, -1, -1) for x in (one.L, one.ab)), lambda: one.rgb.repeat(3, 1, 1, 1)
    )
    torch.testing.assert_close(loss(model, three)["kl"], loss(model, one)["kl"])


def test_beta_means_the_same_for_any_image_size():
    # Maps hold four times the nats of an image of four times the values.
    model = stirred("vae", latents=(1, 4), free_bits=0.0)
    for child in (model.prior_whole, model.posterior_whole):  # a vector does not grow
        torch.nn.init.zeros_(child.weight)
        torch.nn.init.zeros_(child.bias)

    def flat(side: int) -> Batch:
        L, ab = torch.full((1, 1, side, side), 60.0), torch.full((1, 2, side // 4, side // 4), 20.0)
        return Batch(L, ab, lambda: None)

    small, large = loss(model, flat(256))["kl"], loss(model, flat(512))["kl"]
    assert small > 0
    assert large.item() == pytest.approx(small.item(), rel=0.1)  # the frame differs


@every_vae
def test_free_bits_are_not_charged_and_beta_warms_up(name):
    model, batch = stirred(name, free_bits=0.0), picture()
    paid = loss(model, batch)["kl"]
    assert paid > 0
    model.steps_taken.fill_(model.config.warm_up // 2)
    norms = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    model.train()
    for norm in norms:  # the same features as in evaluation
        norm.eval()
    assert loss(model, batch)["kl"].item() == pytest.approx(paid.item() / 8, rel=1e-3)
    assert model.steps_taken == model.config.warm_up // 2 + 1
    model.eval()
    channels = sum(len(v) for v in model.kl_per_dimension(batch).values())
    model.config = dataclasses.replace(model.config, free_bits=1e4)
    torch.testing.assert_close(loss(model, batch)["kl"].item(), 1e4 * channels / (2 * 16 * 16))


@every_vae
def test_every_latent_channel_has_an_effect_and_the_prediction_is_the_prior_mean(name):
    model, L = stirred(name), picture().L
    with torch.no_grad():
        seen = model.look(L)
        z = {k: g.mean for k, g in model.prior(seen).items()}
        before = model.decode(seen, z)
        torch.testing.assert_close(model.answer(L), before)
        for k, value in z.items():
            for channel in range(value.shape[1]):
                moved = value.clone()
                moved[:, channel] += 2
                after = model.decode(seen, {**z, k: moved})
                assert (after - before).abs().max() > 1e-3, (k, channel)


@every_vae
def test_a_reconstruction_has_seen_the_colour(name):
    model, batch = stirred(name), picture()
    one, two = (model.reconstruct(batch.L, ab, seeded()) for ab in (batch.ab, -batch.ab))
    assert not torch.equal(one, two)
    assert one.shape == (2, 3, 64, 64)
    assert model.reconstruct(batch.L[..., :50, :41], batch.ab[..., :12, :10]).shape[-2:] == (50, 41)


@every_vae
def test_the_reference_encoder_does_not_see_colour(name):
    model, batch = stirred(name, recipe="reference"), picture()
    seen = model.look(batch.L)
    one, two = (model.posterior(seen, batch.L, ab)["whole"].mean for ab in (batch.ab, -batch.ab))
    assert torch.equal(one, two)
    prior = model.prior(seen)["whole"]
    assert not prior.mean.any()
    assert not prior.log_std.any()


@pytest.mark.parametrize(
    ("latents", "names"),
    [((4, 0, 0), {"whole"}), ((4, 1, 0), {"whole", "coarse"}), ((4, 0, 2), {"whole", "fine"})],
)
def test_a_unetvae_does_without_a_map(latents, names):
    model, batch = stirred("unet_vae", latents=latents), picture()
    assert set(model.kl_per_dimension(batch)) == names
    assert model.draw(batch.L, 2, None).shape == (2, *batch.ab.shape)


def test_the_categories_of_a_posterior_start_as_hues():
    # The category must follow the colour before any training, and no other comes near.
    model, batch = build("unet_vae", size=64).eval(), picture()
    chosen = []
    for a, b in ((60.0, 0.0), (0.0, 60.0), (-60.0, 0.0), (0.0, -60.0)):
        ab = torch.tensor([a, b])[None, :, None, None].expand_as(batch.ab)
        posterior = model.posterior(model.look(batch.L), batch.L, ab)["fine"]
        chosen.append(posterior.log_prob[:, 0].argmax(dim=1).flatten().mode().values.item())
    assert len(set(chosen)) == 4
