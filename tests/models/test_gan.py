"""The GANs: who moves whom, what a patch sees, checkerboards, noise, and released weights."""

from __future__ import annotations

import pytest
import torch
from test_models import every_target, picture, stir
from torch import nn

from colorlab import checkpoints
from colorlab.layers import Upsample
from colorlab.models import build
from colorlab.models.gan import PatchDiscriminator, PictureDiscriminator, TransposedUpsample, look
from colorlab.training import TrainConfig, Trainer

every_gan = pytest.mark.parametrize("name", ["gan", "unet_gan"])


def take(model: nn.Module, player: str, batch) -> dict[str, bool]:
    """Let one player step after both losses are known; which children moved."""
    before = {k: v.clone() for k, v in model.named_parameters()}
    chosen = next(p for p in model.players() if p.name == player)
    optimizer = torch.optim.SGD(chosen.module.parameters(), lr=0.1)
    sum(chosen.loss(batch).values()).backward()
    optimizer.step()
    moved = {k.split(".")[0] for k, v in model.named_parameters() if not torch.equal(v, before[k])}
    return moved


@every_gan
@every_target
def test_each_player_moves_its_own_weights_only(name, target):
    model = stir(build(name, target=target, size=64, noise=4)).train()
    assert take(model, "discriminator", picture()) == {"discriminator"}
    moved = take(model, "generator", picture())
    assert moved == {child for child, _ in model.named_children()} - {"discriminator"}


@every_gan
def test_both_players_learn_from_one_painting(name):
    model = stir(build(name, size=64)).train()
    paintings = []
    model.head.register_forward_hook(lambda *_: paintings.append(1))
    judge, paint = (player.loss for player in model.players())
    batch = picture()
    judge(batch)
    paint(batch)
    assert len(paintings) == 1
    paint(batch)  # asked alone, the generator paints anew: the old graph is spent
    assert len(paintings) == 2


@every_gan
def test_the_discriminators_loss_stops_at_the_painting(name):
    model = stir(build(name, size=64)).train()
    model.players()[0].loss(picture())["discriminator"].backward()
    reached = {k.split(".")[0] for k, p in model.named_parameters() if p.grad is not None}
    assert reached == {"discriminator"}


@every_gan
def test_terms_are_named_and_their_switches_work(name):
    def terms(**settings):
        model = stir(build(name, size=64, **settings)).train()
        return [set(player.loss(picture())) for player in model.players()]

    assert terms(l1_weight=10.0, r1=1.0) == [{"discriminator", "r1"}, {"generator", "l1"}]
    assert terms(l1_weight=0.0, r1=0.0) == [{"discriminator"}, {"generator"}]


def test_r1_is_the_slope_per_network_unit():
    model = stir(build("unet_gan", size=64, r1=1.0)).train()
    batch = picture()
    got = model.players()[0].loss(batch)["r1"].item()
    unit = (batch.ab / 110).requires_grad_()
    logits = model.discriminator(batch.L, 110 * unit).flatten(1).mean(dim=1)
    (slope,) = torch.autograd.grad(logits.sum(), unit)
    assert got == pytest.approx(slope.square().flatten(1).sum(1).mean().item() / 2, rel=1e-4)


def test_a_batch_of_another_step_is_painted_anew():
    model = stir(build("unet_gan", size=64)).train()
    judge, paint = (player.loss for player in model.players())
    judge(picture())
    other = picture(n=3)
    alone = model.players()[1].loss(other)["l1"]
    assert torch.allclose(paint(other)["l1"], alone, rtol=1e-3)


@every_target
def test_a_patch_sees_as_many_pixels_as_it_states(target):
    torch.manual_seed(0)
    judge = PatchDiscriminator(target, (8, 8), "none")  # groups would see the whole picture
    L = torch.randn(1, 1, 256, 256, requires_grad=True)
    colour = torch.randn((1, 2, 64, 64) if target == "ab" else (1, 3, 256, 256))
    colour.requires_grad_()
    logits = judge(L, colour)
    assert logits.shape == (1, 1, 16, 16)
    logits[0, 0, 8, 8].backward()
    for map_, pixel in ((L.grad, 1), (colour.grad, 4 if target == "ab" else 1)):
        seen = map_[0].abs().sum(0) > 0
        assert (seen.any(0).sum() * pixel, seen.any(1).sum() * pixel) == (72, 72)
    assert PatchDiscriminator.FIELD == 72


@every_target
def test_discriminators_see_every_pixel_of_both(target):
    L = torch.rand(1, 1, 64, 64, requires_grad=True)
    colour = torch.rand((1, 2, 16, 16) if target == "ab" else (1, 3, 64, 64), requires_grad=True)
    look(L, colour).sum().backward()
    assert (L.grad != 0).all()
    assert (colour.grad != 0).all()


@pytest.mark.parametrize("kind", [PatchDiscriminator, PictureDiscriminator])
def test_spectral_normalization_bounds_every_layer_at_one(kind):
    torch.manual_seed(0)
    widths = (16, 32) if kind is PatchDiscriminator else (16, 32, 64)
    judge = kind("ab", widths, "spectral").train()
    batch = picture(4)
    with torch.no_grad():
        for layer in judge.modules():  # far from normalized, and power iteration has begun only
            if isinstance(layer, nn.Conv2d):
                layer.parametrizations.weight.original.mul_(7)
        for _ in range(50):
            judge(batch.L, batch.ab)
    layers = [m for m in judge.modules() if isinstance(m, nn.Conv2d)]
    assert len(layers) == 4
    for layer in layers:
        largest = torch.linalg.matrix_norm(layer.weight.flatten(1), ord=2)
        assert largest.item() == pytest.approx(1, abs=0.02)


def test_unknown_normalization_is_refused():
    with pytest.raises(ValueError, match="'layer'"):
        build("unet_gan", normalization="layer")
    with pytest.raises(ValueError, match="'nearest'"):
        build("gan", upsampling="nearest")


def test_transposed_convolution_draws_a_checkerboard_and_bilinear_does_not():
    torch.manual_seed(0)
    flat = torch.ones(1, 8, 16, 16)
    inner = (..., slice(8, -8), slice(8, -8))  # borders differ in both, from padding
    transposed = TransposedUpsample(8, 8).eval()(flat)[inner]
    bilinear = Upsample(8, 8).eval()(flat)[inner]
    assert bilinear.std(dim=(2, 3)).max() < 1e-6
    assert transposed.std(dim=(2, 3)).min() > 1e-3
    # Period 2: shifted by two pixels it is the same.
    assert torch.allclose(transposed[..., 2:], transposed[..., :-2], atol=1e-6)


@every_gan
def test_dropout_of_training_alone_leaves_one_answer(name):
    assert build(name, dropout=0.5).deterministic


@every_gan
def test_noise_of_zero_changes_nothing(name):
    L = picture().L
    with_noise = stir(build(name, size=64, noise=4)).eval()
    without = build(name, size=64).eval()
    without.load_state_dict(
        {k: v for k, v in with_noise.state_dict().items() if not k.startswith("noise")}
    )
    assert torch.equal(with_noise(L), without(L))


@every_gan
def test_released_weights_leave_the_discriminator_out(name, tmp_path):
    from safetensors.torch import load_file

    model = stir(build(name, size=64, noise=4)).eval()
    file = checkpoints.save(model, "scenes", {}, tmp_path)
    assert not [key for key in load_file(file) if key.startswith("discriminator")]
    loaded = checkpoints.load(str(file))
    L = picture().L
    assert (loaded.colorize(L) - model.colorize(L)).abs().max() < 0.02  # half precision


def test_a_unet_gan_that_starts_from_a_unet_answers_like_it():
    unet = stir(build("unet", size=64)).eval()
    model = build("unet_gan", size=64, noise=4)
    model.start_from(unet)
    L = picture().L
    assert torch.equal(model.eval()(L), unet(L))


def test_a_bilinear_gan_that_starts_from_a_resnet_answers_like_it():
    resnet = stir(build("resnet", size=64)).eval()
    model = build("gan", size=64, upsampling="bilinear")
    model.start_from(resnet)
    L = picture().L
    assert torch.equal(model.eval()(L), resnet(L))
    transposed = build("gan", size=64, upsampling="transposed")
    transposed.start_from(resnet)
    assert torch.equal(transposed.encoder.eval()(L), resnet.encoder(L))


@every_gan
def test_the_trainer_plays_the_game(name, few_pictures):
    torch.manual_seed(0)
    model = build(name, size=32, r1=1.0, noise=2, normalization="spectral", label_smoothing=0.1)
    trainer = Trainer(model, few_pictures, TrainConfig(steps=4, batch_size=4, device="cpu"))
    for _ in range(4):
        terms = trainer.advance("float32")
    assert set(terms) == {"discriminator", "r1", "generator", "l1"}
    assert all(torch.isfinite(value) for value in terms.values())
    settings = {k: o.param_groups[0] for k, o in trainer.optimizers.items()}
    assert settings["generator"]["betas"] == (0.5, 0.999)
    owned = {id(p) for p in settings["generator"]["params"]}
    assert not owned & {id(p) for p in model.discriminator.parameters()}
