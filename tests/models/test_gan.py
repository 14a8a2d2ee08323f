"""The GANs: which player updates what, what a patch sees, checkerboards, and noise."""

import pytest
import torch
from safetensors.torch import load_file
from tiny import every_target, picture, stir
from torch import nn

from colorlab import checkpoints
from colorlab.layers import TransposedUpsample, Upsample
from colorlab.models import build
from colorlab.models.gan import PatchDiscriminator, PictureDiscriminator
from colorlab.training import TrainConfig, Trainer

every_gan = pytest.mark.parametrize("name", ["gan", "unet_gan"])


@every_gan
@every_target
def test_each_player_updates_its_own_weights_only(name, target):
    model = stir(build(name, target=target, size=64, noise=4)).train()
    discriminator, generator = model.players()
    discriminator.loss(picture())["discriminator"].backward()
    reached = {k.split(".")[0] for k, p in model.named_parameters() if p.grad is not None}
    assert reached == {"discriminator"}, "its loss stops at the fake colours"
    before = {k: v.clone() for k, v in model.named_parameters()}
    sum(generator.loss(picture()).values()).backward()
    torch.optim.SGD(generator.module.parameters(), lr=0.1).step()
    moved = {k.split(".")[0] for k, v in model.named_parameters() if not torch.equal(v, before[k])}
    assert moved == {child for child, _ in model.named_children()} - {"discriminator"}


def test_both_players_learn_from_one_forward_pass_of_the_same_batch():
    model = stir(build("unet_gan", size=64)).train()
    passes = []
    model.unet.head.register_forward_hook(lambda *_: passes.append(1))
    discriminate, generate = (player.loss for player in model.players())
    batch, other = picture(), picture(n=3)
    discriminate(batch)
    generate(batch)
    assert len(passes) == 1
    alone = generate(batch)["l1"]  # once more: the old graph is spent
    assert len(passes) == 2
    discriminate(other)
    assert torch.allclose(generate(batch)["l1"], alone), "another batch is computed anew"
    assert len(passes) == 4


def test_r1_and_l1_are_in_network_units():
    model, batch = stir(build("unet_gan", size=64, r1=1.0, l1_weight=3.0)).eval(), picture()
    got = {k: v.item() for player in model.players() for k, v in player.loss(batch).items()}
    unit = (batch.ab / 110).requires_grad_()
    logits = model.discriminator(batch.L, 110 * unit).flatten(1).mean(dim=1)
    (slope,) = torch.autograd.grad(logits.sum(), unit)
    assert got["r1"] == pytest.approx(slope.square().flatten(1).sum(1).mean().item() / 2, rel=1e-4)
    far = (model(batch.L) - batch.ab).abs().mean().item()
    assert got["l1"] == pytest.approx(3 * far / 110, rel=1e-4)


@every_target
def test_a_patch_sees_as_many_pixels_as_it_states(target):
    torch.manual_seed(0)
    discriminator = PatchDiscriminator(target, (8, 8), "none")  # groups would see the whole image
    L = torch.randn(1, 1, 256, 256, requires_grad=True)
    colour = torch.randn((1, 2, 64, 64) if target == "ab" else (1, 3, 256, 256))
    logits = discriminator(L, colour.requires_grad_())
    assert logits.shape == (1, 1, 16, 16)
    logits[0, 0, 8, 8].backward()
    for map_, pixel in ((L.grad, 1), (colour.grad, 4 if target == "ab" else 1)):
        seen = map_[0].abs().sum(0) > 0
        assert (seen.any(0).sum() * pixel, seen.any(1).sum() * pixel) == (72, 72)
    assert PatchDiscriminator.FIELD == 72


@pytest.mark.parametrize("kind", [PatchDiscriminator, PictureDiscriminator])
def test_spectral_normalization_bounds_every_layer_at_one(kind):
    torch.manual_seed(0)
    widths = (16, 32) if kind is PatchDiscriminator else (16, 32, 64)
    discriminator = kind("ab", widths, "spectral").train()
    layers = [m for m in discriminator.modules() if isinstance(m, nn.Conv2d)]
    assert len(layers) == 4
    batch = picture(4)
    with torch.no_grad():
        for layer in layers:  # far from normalized, and power iteration has only begun
            layer.parametrizations.weight.original.mul_(7)
        for _ in range(50):
            discriminator(batch.L, batch.ab)
    for layer in layers:
        largest = torch.linalg.matrix_norm(layer.weight.flatten(1), ord=2)
        assert largest.item() == pytest.approx(1, abs=0.02)


def test_only_a_transposed_convolution_of_kernel_3_gives_a_checkerboard():
    torch.manual_seed(0)
    flat = torch.ones(1, 8, 16, 16)
    inner = (..., slice(8, -8), slice(8, -8))  # borders differ in all, from padding
    transposed = TransposedUpsample(8, 8).eval()(flat)
    assert transposed.shape == (1, 8, 32, 32)
    transposed = transposed[inner]
    assert transposed.std(dim=(2, 3)).min() > 1e-3
    # Period 2: shifted by two pixels it is the same.
    assert torch.allclose(transposed[..., 2:], transposed[..., :-2], atol=1e-6)
    bilinear = Upsample(8, 8).eval()(flat)
    assert bilinear.shape == (1, 8, 32, 32)
    assert bilinear[inner].std(dim=(2, 3)).max() < 1e-6
    assert TransposedUpsample(8, 4, kernel=4)(flat).shape == (1, 4, 32, 32)


@every_gan
def test_noise_of_zero_changes_nothing(name):
    L = picture().L
    with_noise = stir(build(name, size=64, noise=4)).eval()
    without = build(name, size=64).eval()
    without.load_state_dict(
        {k: v for k, v in with_noise.state_dict().items() if not k.startswith("noise")}
    )
    assert torch.equal(with_noise(L), without(L))


def test_released_weights_leave_the_discriminator_out(tmp_path):
    file = checkpoints.save(build("gan", size=64), "scenes", {}, tmp_path)
    assert not [key for key in load_file(file) if key.startswith("discriminator")]


@every_gan
def test_the_trainer_plays_the_game(name, few_pictures):
    torch.manual_seed(0)
    model = build(name, size=32, r1=1.0, noise=2, normalization="spectral", label_smoothing=0.1)
    trainer = Trainer(model, few_pictures, TrainConfig(steps=4, batch_size=4, device="cpu"))
    for _ in range(2):
        terms = trainer.advance("float32")
    assert set(terms) == {"discriminator", "r1", "generator", "l1"}
    plain = build(name, size=64, l1_weight=0.0, r1=0.0).players()
    assert [set(p.loss(picture())) for p in plain] == [{"discriminator"}, {"generator"}]
    assert all(torch.isfinite(value) for value in terms.values())
    settings = {k: o.param_groups[0] for k, o in trainer.optimizers.items()}
    assert settings["generator"]["betas"] == (0.5, 0.999)
    owned = {id(p) for p in settings["generator"]["params"]}
    assert not owned & {id(p) for p in model.discriminator.parameters()}
