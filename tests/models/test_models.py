"""What every listed model promises, whatever its architecture."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from colorlab import checkpoints
from colorlab.color import join, lightness
from colorlab.data.loaders import Batch, batch_from_rgb
from colorlab.layers import ChromaHead, PictureHead, count_parameters
from colorlab.models import MODELS, build, name_of
from colorlab.models.base import TARGETS
from colorlab.models.classifier import BinHead
from colorlab.models.unet import UNet
from colorlab.models.vae import RECIPES

WIDTHS = (8, 16, 16, 16)
every_model = pytest.mark.parametrize("name", list(MODELS))
every_target = pytest.mark.parametrize("target", TARGETS)
every_model_and_target = pytest.mark.parametrize(
    ("name", "target"),
    [(name, target) for name, (kind, _) in MODELS.items() for target in kind.targets],
)


def picture(n: int = 2, size: int = 64) -> Batch:
    torch.manual_seed(0)
    coarse = torch.rand(n, 3, 8, 8)
    return batch_from_rgb(torch.nn.functional.interpolate(coarse, size=(size, size)))


def stir(model: torch.nn.Module) -> torch.nn.Module:
    """Move every weight a little: heads start at zero, and zero hides mistakes."""
    torch.manual_seed(1)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.05 * torch.randn_like(p))
    return model


@every_model_and_target
def test_forward_has_the_shape_of_its_target(name, target):
    model = build(name, target=target, size=64)
    answer = model(picture().L)
    assert answer.shape == ((2, 2, 16, 16) if target == "ab" else (2, 3, 64, 64))


@every_model
def test_an_untrained_chroma_model_answers_gray(name):
    L = picture().L
    rgb = build(name, size=64).colorize(L)
    assert (rgb - rgb.mean(1, keepdim=True)).abs().max() < 1e-4


@every_model_and_target
@pytest.mark.parametrize("size", [(64, 64), (50, 77), (1, 1), (130, 33)])
def test_colorize_takes_any_size(name, target, size):
    model = stir(build(name, target=target, size=64))
    L = 30 + 40 * torch.rand(1, 1, *size)
    rgb = model.colorize(L)
    assert rgb.shape == (1, 3, *size)
    assert rgb.min() >= 0
    assert rgb.max() <= 1
    assert not rgb.requires_grad


@every_model
def test_lightness_is_kept(name):
    model = build(name, size=64)
    head = next(module for module in model.modules() if isinstance(module, ChromaHead | BinHead))
    with torch.no_grad():  # a weak, everywhere different colour: no gamut clipping
        torch.nn.init.normal_(head.project.weight, std=0.02)
        torch.nn.init.constant_(head.project.bias, 0.05)
    L = 30 + 40 * torch.rand(1, 1, 96, 128)
    rgb = model.colorize(L)
    assert rgb.std(dim=1).max() > 1e-3, "the test needs some colour"
    assert (lightness(rgb) - L).abs().max() < 0.02


@every_model_and_target
def test_alone_and_in_a_batch_is_the_same(name, target):
    model = stir(build(name, target=target, size=64))
    L = picture(3).L
    together = model.colorize(L)
    alone = torch.cat([model.colorize(one) for one in L.split(1)])
    assert (together - alone).abs().max() < 1e-4


@every_model
def test_samples_of_a_deterministic_model_are_one_answer(name):
    model = stir(build(name, size=64))
    if not model.deterministic:
        pytest.skip(f"{name} draws samples")
    L = picture().L
    drawn = model.sample(L, 3)
    assert drawn.shape == (3, 2, 3, 64, 64)
    assert all(torch.equal(one, model.colorize(L)) for one in drawn)


# Every model that samples, in each way that it can.
sampling_models = pytest.mark.parametrize(
    ("name", "settings"),
    [
        *[(name, {"recipe": recipe}) for name in ("vae", "unet_vae") for recipe in RECIPES],
        *[(name, {"noise": 4}) for name in ("gan", "unet_gan")],
        *[(name, {"dropout": 0.5, "dropout_at_test": True}) for name in ("gan", "unet_gan")],
        ("diffusion", {"steps": 3}),
        ("diffusion", {"steps": 3, "predicts": "v"}),
        ("diffusion", {"steps": 3, "formulation": "ddpm", "predicts": "v", "sampler": "ddim"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(map(str, value.values())),
)


@sampling_models
def test_samples_follow_their_seed_and_the_single_answer_has_none(name, settings):
    model, L = stir(build(name, size=64, **settings)).eval(), picture().L
    assert not model.deterministic

    def drawn(n: int, seed: int) -> torch.Tensor:
        return model.sample(L, n, torch.Generator().manual_seed(seed))

    first = drawn(2, 0)
    assert first.shape == (2, 2, 3, 64, 64)
    assert torch.equal(first, drawn(2, 0))
    assert (first - drawn(2, 1)).abs().max() > 1e-3
    assert (first[0] - first[1]).abs().max() > 1e-3
    # A sample does not depend on how many follow, nor on how many are made together.
    torch.testing.assert_close(drawn(1, 0)[0], first[0], atol=1e-4, rtol=0)
    assert torch.equal(model.colorize(L), model.colorize(L))


@sampling_models
def test_released_weights_draw_the_same_samples(name, settings, tmp_path):
    model = stir(build(name, size=64, **settings)).eval().half().float()
    back = checkpoints.load(str(checkpoints.save(model, "scenes", {}, tmp_path)))
    L = picture().L
    one, two = (m.sample(L, 2, torch.Generator().manual_seed(3)) for m in (model, back))
    assert (one - two).abs().max() < 1e-4
    assert back.config == model.config


@every_model_and_target
def test_each_player_learns_one_batch(name, target):
    """Overfits: within 60 steps on one batch, every player's loss is halved."""
    torch.manual_seed(0)
    model = build(name, target=target, size=64)
    batch = picture()
    for player in model.players():
        optimizer = torch.optim.AdamW(player.module.parameters(), lr=2e-3)
        losses = []
        while len(losses) < 10 or max(losses[-3:]) >= 0.5 * losses[0]:
            assert len(losses) < 60, (player.name, losses[0], losses[-3:])
            loss = sum(player.loss(batch).values())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())


@every_model
def test_players_own_every_parameter_once(name):
    model = build(name)
    owned = [id(p) for player in model.players() for p in player.module.parameters()]
    assert len(owned) == len(set(owned))
    assert set(owned) == {id(p) for p in model.parameters()}


@every_model_and_target
def test_fits_a_released_checkpoint(name, target):
    # 3 MiB in half precision, without what only training needs, or what is a checkpoint itself.
    model = build(name, target=target)
    left_out = {*model.training_only, *model.stands_on}
    kept = (child for n, child in model.named_children() if n not in left_out)
    assert sum(map(count_parameters, kept)) * 2 < 3 * 2**20


@every_model
def test_settings_are_frozen_and_named(name):
    model_class, config_class = MODELS[name]
    assert name_of(build(name)) == name
    with pytest.raises(dataclasses.FrozenInstanceError):
        config_class().target = "rgb"
    with pytest.raises(ValueError, match="'lab'"):
        model_class(config_class(target="lab"))
    with pytest.raises(ValueError, match="wdith"):
        build(name, wdith=3)


def test_validation_score_is_the_chroma_distance():
    batch = picture()
    score = build("unet", size=64).validation_score(batch)  # untrained: ab = 0
    want = batch.ab.square().sum(1).sqrt().mean((1, 2))
    assert torch.allclose(score, want, atol=1e-4)


@pytest.mark.parametrize(
    ("wrong", "tells"),
    [
        (torch.rand(2, 3, 64, 64), r"\(2, 3, 64, 64\)"),
        (torch.full((1, 1, 64, 64), 255.0), "255"),
        (torch.full((1, 1, 64, 64), float("nan")), "nan"),
    ],
)
def test_what_is_not_lightness_is_refused(wrong, tells):
    with pytest.raises(ValueError, match=tells):
        build("unet", size=64).colorize(wrong)


def test_unknown_model_lists_the_known():
    with pytest.raises(ValueError, match="resnet, unet"):
        build("vgg")


@every_target
def test_a_fold_of_8_answers_at_the_same_size(target):
    model = stir(build("unet", target=target, fold=8, size=64))
    L = picture().L
    assert model(L).shape == ((2, 2, 16, 16) if target == "ab" else (2, 3, 64, 64))
    assert model.colorize(L[:, :, :50, :37]).shape == (2, 3, 50, 37)
    with pytest.raises(ValueError, match="fold must be 4 or 8, got 5"):
        build("unet", fold=5)


@pytest.mark.parametrize("name", [n for n, (_, c) in MODELS.items() if hasattr(c, "input_skip")])
def test_an_input_skip_begins_at_the_gray_picture(name):
    """With an RGB head that says nothing, the prediction is gray to the last digit."""
    model = build(name, target="rgb", size=64, input_skip=True).eval()
    head = next(module for module in model.modules() if isinstance(module, PictureHead))
    torch.nn.init.zeros_(head.project.weight)
    torch.nn.init.zeros_(head.project.bias)
    batch = picture()
    gray = join(batch.L, torch.zeros_like(batch.ab))
    assert (model.colorize(batch.L) - gray).abs().max() < 1e-5
    assert (model.sample(batch.L, 2)[1] - gray).abs().max() < 1e-5
    for height, width in ((96, 160), (50, 37)):  # the input is added at its own size: no blur
        L = 100 * torch.rand(1, 1, height, width)
        gray = join(L, torch.zeros(1, 2, height // 4, width // 4))
        assert (model.colorize(L) - gray).abs().max() < 1e-5
    without = build(name, target="rgb", size=64).eval()
    without.load_state_dict(model.state_dict())
    assert (without.colorize(batch.L) - 0.5).abs().max() < 1e-5


def test_saturation_turns_the_colours_up_and_down():
    model, L = stir(build("unet", size=64)).eval(), picture().L
    ab = model.answers(L, 1)[0]
    for factor in (0.0, 0.5, 2.0):
        model.saturation = factor
        assert torch.equal(model.colorize(L), join(L, factor * ab))


def test_the_same_model_takes_everything():
    begun, model = (
        stir(build("unet", size=64, widths=WIDTHS)),
        build("unet", size=64, widths=WIDTHS),
    )
    model.start_from(begun)
    L = 100 * torch.rand(1, 1, 64, 64)
    assert torch.equal(model.colorize(L), begun.colorize(L))


def test_a_model_with_a_unet_inside_puts_the_weights_there():
    class Around(UNet):
        def __init__(self, config):
            super().__init__(config)
            self.inner = UNet(config)

    begun = stir(build("unet", size=64, widths=WIDTHS))
    model = Around(begun.config)
    stem = model.stem.block[0].weight.clone()
    model.start_from(begun)
    L = 100 * torch.rand(1, 1, 64, 64)
    assert torch.equal(model.inner.colorize(L), begun.colorize(L))
    assert torch.equal(model.stem.block[0].weight, stem), "the rest stays as it was"


def test_parts_of_the_same_name_and_shape_are_taken_whole_or_not_at_all():
    begun = stir(build("unet", size=64, widths=WIDTHS))
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
