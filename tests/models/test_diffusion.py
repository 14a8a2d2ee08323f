"""Diffusion: what it starts as, what it learns, what seeds and settings do."""

import dataclasses

import pytest
import torch
from tiny import picture, seeded, stir, train

from colorlab import checkpoints, flow
from colorlab.data.loaders import Batch
from colorlab.models import build

SMALL = {"size": 64, "widths": (16, 16, 16, 16), "denoiser": (16, 16, 16)}


def stirred(**settings) -> torch.nn.Module:
    return stir(build("diffusion", **{"size": 64, **settings})).eval()


def test_overfits_one_batch_and_depends_on_its_lightness():
    batch = picture(2)
    torch.manual_seed(0)
    model = train(build("diffusion", **SMALL), batch, 150, 4e-3)

    def error(L: torch.Tensor) -> float:
        return (model.answers(L, 4, seeded()) - batch.ab).square().sum(dim=2).sqrt().mean().item()

    gray = batch.ab.square().sum(dim=1).sqrt().mean().item()
    assert error(batch.L) < 0.35 * gray
    assert error(batch.L.flip(0)) > 2 * error(batch.L), "it does not look at L"


def test_two_colours_for_one_gray_are_sampled_as_often_as_they_were_seen():
    # The same gray, red three times of four and blue once: the mean would be purple. The weak
    # signal of early times decides; many samples an image give it enough weight.
    L = torch.full((4, 1, 32, 32), 50.0)
    red, blue = torch.tensor([50.0, 30.0]), torch.tensor([0.0, -45.0])
    ab = torch.stack((red, red, red, blue))[:, :, None, None].expand(4, 2, 8, 8)
    torch.manual_seed(0)
    model = build("diffusion", **{**SMALL, "size": 32, "draws": 64})
    model.start_from(build("unet", size=64, widths=SMALL["widths"]))
    train(model, Batch(L, ab, lambda: None), 200, 4e-3)
    drawn = model.answers(L[:1], 256, seeded())[:, 0].mean(dim=(2, 3))
    near_red, near_blue = ((drawn - c).norm(dim=1) < 25 for c in (red, blue))
    assert (near_red | near_blue).float().mean() > 0.9
    assert near_blue.float().mean().item() == pytest.approx(0.25, abs=0.1)


@pytest.mark.parametrize("tones", [0.0, 40.0])
def test_the_single_prediction_is_a_sample_that_does_not_depend_on_the_batch(tones):
    model, L = stirred(steps=3, tones=tones), picture().L
    with torch.no_grad():
        drawn = model.answer(L)
        assert (drawn - model(L)).abs().max() > 1, "a sample and not the mean"
        again = model.answer(L[:1].expand(2, -1, -1, -1))[1]
        beside = model.answer(torch.cat((L.flip(-1) / 2, L)))[len(L)]  # after other images
    torch.testing.assert_close(again, drawn[0], atol=1e-2, rtol=1e-3)
    torch.testing.assert_close(beside, drawn[0], atol=1e-2, rtol=1e-3)


def test_at_pure_noise_the_estimate_is_the_unets_mean():
    unet, model = stir(build("unet", size=64)).eval(), build("diffusion", size=64)
    model.eval().start_from(unet)
    L = picture().L
    with torch.no_grad():
        first = model.clean(model.noise(L, 1, seeded())[0], torch.tensor(0.0), model.look(L))
        torch.testing.assert_close(model.from_units(first), unet(L), atol=1e-3, rtol=1e-4)


def test_a_trained_unet_stays_as_it_is_and_an_untrained_one_learns():
    model = build("diffusion", size=64)
    (player,) = model.players()
    terms = player.loss(picture())
    assert {"velocity", "mean"} == set(terms)
    terms["velocity"].backward(retain_graph=True)
    assert model.unet.head.project.weight.grad is None, "the mean learns by its own term alone"
    terms["mean"].backward()
    assert model.unet.head.project.weight.grad.any()
    model.start_from(stir(build("unet", size=64)))
    assert model.unet_is_frozen
    (player,) = model.train().players()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    optimizer = torch.optim.AdamW(player.module.parameters(), lr=1e-2)
    for _ in range(3):
        optimizer.zero_grad()
        terms = player.loss(picture())
        sum(terms.values()).backward()
        optimizer.step()
    assert set(terms) == {"velocity"}
    for k, v in model.state_dict().items():
        assert torch.equal(v, before[k]) == k.startswith("unet."), k


def test_the_velocity_loss_is_the_mean_squared_error_of_the_velocity():
    model, batch = stirred(draws=1, unconditional=0.0, floor=1e-9, reach=0.0), picture()
    torch.manual_seed(3)
    got = model.players()[0].loss(batch)["velocity"]
    torch.manual_seed(3)
    clean = model.to_units(batch.ab)
    noise = torch.randn(clean.shape)
    t = flow.logit_normal_times(2, model.config.shift, model.config.scale)
    state = flow.mix(clean, noise, t)
    estimate = model.clean(state, t, model.look(batch.L))
    v = flow.velocity_from_clean(estimate, state, t)
    torch.testing.assert_close(got, (v - clean + noise).square().mean(), rtol=1e-3, atol=1e-4)


def test_withheld_lightness_has_no_effect():
    model, batch = stirred(), picture()
    kept, t = torch.tensor([False, True]), torch.tensor(0.3)
    with torch.no_grad():
        seen, flipped = model.look(batch.L), model.look(batch.L.flip(0))
        state = model.noise(batch.L, 1, seeded())[0]
        one, two = (model.clean(state, t, x.keep(kept)) for x in (seen, flipped))
        other = model.clean(state, t, flipped)
    torch.testing.assert_close(one[0], two[0])
    assert (one[0] - other[0]).abs().max() > 1e-3
    assert (one[1] - two[1]).abs().max() > 1e-3


def test_guidance_steps_and_temperature_change_a_sample():
    model, L = stirred(), picture().L
    with torch.no_grad():
        seen, noise = model.look(L), model.noise(L, 2, seeded())
        plain = model.denoise(seen, noise)
        assert torch.equal(plain, model.denoise(seen, noise, guidance=1.0, steps=10))
        for settings in ({"guidance": 2.0}, {"steps": 4}):
            assert (model.denoise(seen, noise, **settings) - plain).abs().max() > 1e-2, settings
        none, half, whole = (
            (draws[0] - draws[1]).abs().mean().item()
            for draws in (model.denoise(seen, noise, temperature=t) for t in (1e-9, 0.5, 1.0))
        )
    assert none < 1e-5 < half < whole


def test_noise_may_follow_lightness_in_samples_and_in_training():
    batch = picture(2)
    L = batch.L.clone()
    L[..., :32], L[..., 32:] = 20.0, 90.0
    model = stirred(reach=100.0, tones=10.0)
    noise = model.noise(L, 400, seeded())[:, 0, :, 3]  # (400, 2, 16)
    within, across = ((noise[..., 2] * noise[..., k]).mean().item() for k in (6, 9))
    assert within > 0.8
    assert abs(across) < 0.2
    (player,) = model.players()
    losses = []
    for tones in (10.0, 0.0):
        model.config = dataclasses.replace(model.config, tones=tones)
        torch.manual_seed(0)
        losses.append(player.loss(dataclasses.replace(batch, L=L))["velocity"].item())
    assert losses[0] != losses[1]


def test_weights_refer_to_a_released_unet_and_are_refused_without_it(tmp_path):
    checkpoints.save(stir(build("unet", size=64)), "photos", {}, tmp_path)
    model = stirred(steps=2)
    model.start_from(checkpoints.load("unet-ab-photos", folder=tmp_path))
    model.denoiser.half().float()
    file = checkpoints.save(model, "photos", {"steps": 7}, tmp_path)
    base = tmp_path / "unet-ab-photos.safetensors"
    assert checkpoints.read_card(file)["stands_on"]["unet"]["checkpoint"] == base.stem
    assert file.stat().st_size < 0.4 * base.stat().st_size
    back = checkpoints.load("diffusion-ab-photos", folder=tmp_path)
    one, two = (m.sample(picture().L, 2, seeded(3)) for m in (model, back))
    assert (one - two).abs().max() < 1e-3
    checkpoints.save(build("unet", size=64), "photos", {}, tmp_path)  # another one
    with pytest.raises(ValueError, match="stands on unet-ab-photos"):
        checkpoints.load(str(file))
    base.unlink()
    with pytest.raises(ValueError, match="stands on unet-ab-photos"):
        checkpoints.load(str(file))
    own = checkpoints.save(build("diffusion", **SMALL), "scenes", {}, tmp_path)
    assert "stands_on" not in checkpoints.read_card(own), "it holds a UNet of its own"
    checkpoints.load(str(own))
