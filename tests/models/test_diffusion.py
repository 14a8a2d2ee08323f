"""Diffusion: what it starts as, what it learns, what seeds and settings do."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from test_models import every_target, picture, stir

from colorlab import checkpoints, flow
from colorlab.color import lightness
from colorlab.data.loaders import Batch
from colorlab.models import build

SMALL = {"size": 64, "widths": (16, 16, 16, 16), "denoiser": (16, 16, 16)}
every_formulation = pytest.mark.parametrize(
    "formulation",
    [{}, {"predicts": "v"}, {"formulation": "ddpm", "predicts": "v", "sampler": "ddim"}],
    ids=["flow", "flow-v", "ddpm"],
)


def stirred(**settings) -> torch.nn.Module:
    return stir(build("diffusion", **{"size": 64, **settings})).eval()


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def trained(batch: Batch, steps: int, frozen_unet: bool = False, **settings) -> torch.nn.Module:
    torch.manual_seed(0)
    model = build("diffusion", **{**SMALL, **settings})
    if frozen_unet:
        model.start_from(build("unet", size=64, widths=SMALL["widths"]))
    (player,) = model.train().players()
    optimizer = torch.optim.AdamW(player.module.parameters(), lr=4e-3)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 4e-3 * (1 - step / steps)
        optimizer.zero_grad()
        sum(player.loss(batch).values()).backward()
        optimizer.step()
    return model.eval()


def error(model, L: torch.Tensor, ab: torch.Tensor) -> float:
    """Mean distance of four draws to ab, CIE units."""
    return (model.answers(L, 4, seeded()) - ab).square().sum(dim=2).sqrt().mean().item()


@every_formulation
def test_overfits_one_picture_and_hears_its_lightness(formulation):
    batch = picture(2)
    model = trained(batch, 150, **formulation)
    gray = batch.ab.square().sum(dim=1).sqrt().mean().item()
    right = error(model, batch.L, batch.ab)
    assert right < 0.35 * gray
    assert error(model, batch.L.flip(0), batch.ab) > 2 * right, "it does not look at L"


def test_two_colours_for_one_gray_are_drawn_as_often_as_they_were_seen():
    # The same gray, red three times of four and blue once: a mean would be purple. Who does not
    # hear the weak signal at early times loses the blue; many draws a picture let it be heard.
    L = torch.full((4, 1, 32, 32), 50.0)
    red, blue = torch.tensor([50.0, 30.0]), torch.tensor([0.0, -45.0])
    ab = torch.stack((red, red, red, blue))[:, :, None, None].expand(4, 2, 8, 8)
    model = trained(Batch(L, ab, lambda: None), 200, frozen_unet=True, size=32, draws=64)
    drawn = model.answers(L[:1], 256, seeded())[:, 0].mean(dim=(2, 3))
    near_red, near_blue = ((drawn - c).norm(dim=1) < 25 for c in (red, blue))
    assert (near_red | near_blue).float().mean() > 0.9
    assert near_blue.float().mean().item() == pytest.approx(0.25, abs=0.1)


@every_target
@every_formulation
def test_draws_have_the_answer_s_shape(target, formulation):
    model, L = stirred(target=target, steps=2, **formulation), picture().L
    shape = (2, 16, 16) if target == "ab" else (3, 64, 64)
    assert model.draw(L, 3, None).shape == (3, 2, *shape)
    assert model.sample(L[..., :50, :37], 2).shape == (2, 2, 3, 50, 37)


def test_the_single_answer_is_a_draw_and_always_the_same():
    model, L = stirred(steps=3), picture().L
    one = model.colorize(L)
    assert torch.equal(one, model.colorize(L))
    with torch.no_grad():
        drawn = model.answer(L)
        assert (drawn - model(L)).abs().max() > 1
        again = model.answer(L[:1].expand(2, -1, -1, -1))[1]  # another place in a batch rounds anew
        torch.testing.assert_close(again, drawn[0], atol=1e-2, rtol=1e-3)


def test_samples_keep_lightness():
    model = build("diffusion", size=64, spread=(5.0, 5.0), steps=3)
    L = 40 + 20 * torch.rand(1, 1, 96, 128)
    with torch.no_grad():  # a weak, everywhere different colour: no gamut clipping
        torch.nn.init.normal_(model.denoiser.leave.weight, std=0.05)
    rgb = model.sample(L, 2, seeded())
    assert rgb.std(dim=2).max() > 1e-3, "the test needs some colour"
    assert (lightness(rgb[0]) - L).abs().max() < 0.02


@every_formulation
def test_starts_from_a_unet_and_its_first_prediction_is_the_mean(formulation):
    unet = stir(build("unet", size=64)).eval()
    model = build("diffusion", size=64, **formulation).eval()
    model.start_from(unet)
    L = picture().L
    with torch.no_grad():
        torch.testing.assert_close(model(L), unet(L))
        noise = model.noise(L, 1, seeded())[0]
        first = model.clean(noise, torch.tensor(0.0), model.look(L))
        torch.testing.assert_close(model.from_units(first), unet(L), atol=1e-3, rtol=1e-4)


def test_a_unet_that_comes_trained_stays_as_it_is():
    unet = stir(build("unet", size=64))
    model = build("diffusion", size=64)
    assert not model.unet_is_frozen
    model.start_from(unet)
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
        kept = torch.equal(v, before[k])
        assert kept == (k.startswith("unet.") or k == "unit"), k


def test_a_model_that_begins_with_nothing_trains_its_unet_too():
    (player,) = build("diffusion", size=64).players()
    assert {"velocity", "mean"} == set(player.loss(picture()))


def test_predictions_are_one_function_of_two_names():
    # At the same network answer F, the clean picture of "v" is what Salimans and Ho's v gives.
    model, batch = stirred(predicts="v"), picture()
    with torch.no_grad():
        seen, t = model.look(batch.L), torch.tensor([0.2, 0.7])
        state = flow.mix(model.to_units(batch.ab), model.noise(batch.L, 1, seeded())[0], t)
        clean = model.clean(state, t, seen)
        model.config = dataclasses.replace(model.config, predicts="clean")
        v = -model.clean(state, t, seen)
        length = (t**2 + (1 - t) ** 2).sqrt()
        a, s = t / length, (1 - t) / length
        want, _ = flow.split_v(v, flow.normalize(state, t), a, s)
    torch.testing.assert_close(clean, want)


def test_the_velocity_loss_is_the_mean_squared_error_of_the_velocity():
    model, batch = stirred(draws=1, unconditional=0.0, floor=1e-9, reach=0.0), picture()
    torch.manual_seed(3)
    got = model.players()[0].loss(batch)["velocity"]
    torch.manual_seed(3)
    clean = model.to_units(batch.ab)
    noise = torch.randn(clean.shape)
    t = flow.logit_normal_times(2, model.config.shift, model.config.scale)
    state = flow.mix(clean, noise, t)
    answer = model.clean(state, t, model.look(batch.L))
    v = flow.velocity_from_clean(answer, state, t)
    want = (v - flow.velocity(clean, noise)).square().mean()
    torch.testing.assert_close(got, want, rtol=1e-3, atol=1e-4)


def test_withheld_lightness_is_not_heard():
    model, batch = stirred(), picture()
    with torch.no_grad():
        blind = model.look(batch.L).keep(torch.tensor([False, True]))
        state = model.noise(batch.L, 1, seeded())[0]
        one = model.clean(state, torch.tensor(0.3), blind)
        other = model.clean(state, torch.tensor(0.3), model.look(batch.L.flip(0)))
        blind_too = model.look(batch.L.flip(0)).keep(torch.tensor([False, True]))
        two = model.clean(state, torch.tensor(0.3), blind_too)
    torch.testing.assert_close(one[0], two[0])
    assert (one[0] - other[0]).abs().max() > 1e-3


def test_guidance_and_steps_change_a_draw():
    model, L = stirred(), picture().L
    with torch.no_grad():
        seen, noise = model.look(L), model.noise(L, 2, seeded())
        plain = model.denoise(seen, noise)
        assert torch.equal(plain, model.denoise(seen, noise, guidance=1.0, steps=10))
        for settings in ({"guidance": 2.0}, {"steps": 4}, {"sampler": "heun"}):
            assert (model.denoise(seen, noise, **settings) - plain).abs().max() > 1e-2, settings


def test_without_noise_all_draws_are_one_and_a_low_temperature_lies_between():
    model, L = stirred(), picture().L
    with torch.no_grad():
        seen, noise = model.look(L), model.noise(L, 2, seeded())
        apart = {
            temperature: (draws[0] - draws[1]).abs().mean().item()
            for temperature in (1e-9, 0.5, 1.0)
            for draws in [model.denoise(seen, noise, temperature=temperature)]
        }
    assert apart[1e-9] < 1e-5 < apart[0.5] < apart[1.0]
    with pytest.raises(ValueError, match="temperature must be positive, got 0"):
        build("diffusion", temperature=0.0)


def test_noise_that_follows_lightness_is_what_draws_begin_with_and_what_training_sees():
    batch = picture(2)
    L = batch.L.clone()
    L[..., :32], L[..., 32:] = 20.0, 90.0
    model = stirred(reach=100.0, tones=10.0)
    noise = model.noise(L, 400, seeded())[:, 0, :, 3]  # (400, 2, 16)
    within, across = ((noise[..., 2] * noise[..., k]).mean().item() for k in (6, 9))
    assert within > 0.8
    assert abs(across) < 0.2
    (player,) = model.players()
    torch.manual_seed(0)
    follows = player.loss(dataclasses.replace(batch, L=L))["velocity"]
    torch.manual_seed(0)
    model.config = dataclasses.replace(model.config, tones=0.0)
    assert player.loss(dataclasses.replace(batch, L=L))["velocity"] != follows


def test_hints_are_kept_and_the_rest_is_drawn():
    model, batch = stirred(steps=4), picture()
    mask = torch.zeros(2, 1, 16, 16)
    mask[..., :4, :] = 1
    with torch.no_grad():
        drawn = model.denoise(
            model.look(batch.L), model.noise(batch.L, 3, seeded()), (batch.ab, mask)
        )
    top = drawn[..., :4, :]
    torch.testing.assert_close(top, batch.ab[..., :4, :].expand_as(top), atol=1e-3, rtol=1e-4)
    assert drawn[..., 4:, :].std(dim=0).max() > 0.1


def on_a_released_unet(folder, **settings):
    """A model on a UNet whose checkpoint lies in ``folder``."""
    checkpoints.save(stir(build("unet", size=64)), "photos", {}, folder)
    model = stirred(steps=2, **settings)
    model.start_from(checkpoints.load("unet-ab-photos", folder=folder))
    model.denoiser.half().float()
    return model


def test_released_weights_name_their_unet_and_draw_the_same(tmp_path):
    model = on_a_released_unet(tmp_path)
    file = checkpoints.save(model, "photos", {"steps": 7}, tmp_path)
    card = checkpoints.read_card(file)
    assert card["stands_on"]["unet"]["checkpoint"] == "unet-ab-photos"
    assert file.stat().st_size < 0.4 * (tmp_path / "unet-ab-photos.safetensors").stat().st_size
    back = checkpoints.load("diffusion-ab-photos", folder=tmp_path)
    L = picture().L
    one, two = (m.sample(L, 2, seeded(3)) for m in (model, back))
    assert (one - two).abs().max() < 1e-3
    assert back.config == model.config


def test_weights_whose_unet_is_gone_or_exchanged_are_refused(tmp_path):
    file = checkpoints.save(on_a_released_unet(tmp_path), "photos", {}, tmp_path)
    checkpoints.save(build("unet", size=64), "photos", {}, tmp_path)  # another one
    with pytest.raises(ValueError, match="stands on unet-ab-photos"):
        checkpoints.load(str(file))
    (tmp_path / "unet-ab-photos.safetensors").unlink()
    with pytest.raises(ValueError, match="stands on unet-ab-photos"):
        checkpoints.load(str(file))


def test_a_unet_of_its_own_is_saved_whole_or_refused(tmp_path, monkeypatch):
    small = {"size": 64, "widths": (16, 16, 16, 16), "denoiser": (16, 16, 16)}
    model = stir(build("diffusion", **small)).eval()
    card = checkpoints.read_card(checkpoints.save(model, "scenes", {}, tmp_path))
    assert "stands_on" not in card
    back = checkpoints.load("diffusion-ab-scenes", folder=tmp_path)
    assert (back(picture().L) - model(picture().L)).abs().max() < 0.1
    monkeypatch.setattr(checkpoints, "MAX_BYTES", 3 << 20)
    with pytest.raises(ValueError, match=r"takes 3\.8. MiB, over the 3 MiB"):
        checkpoints.save(stirred(), "scenes", {}, tmp_path)


def test_a_fold_of_8_draws_at_the_same_size():
    model, batch = stirred(fold=8, steps=2), picture(2, 128)
    assert model.draw(batch.L, 2, None).shape == (2, *batch.ab.shape)


@pytest.mark.parametrize(
    "wrong",
    [
        {"formulation": "sde"},
        {"predicts": "eps"},
        {"sampler": "rk4"},
        {"steps": 0},
        {"unconditional": 1.0},
        {"shift": -2.0},
        {"tones": -1.0},
    ],
)
def test_wrong_settings_are_told(wrong):
    (value,) = wrong.values()
    with pytest.raises(ValueError, match=str(value)):
        build("diffusion", **wrong)
