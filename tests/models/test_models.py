"""What every listed model promises, whatever its architecture."""

import dataclasses

import pytest
import torch
from tiny import every_target, picture, same, seeded, stir

from colorlab import checkpoints
from colorlab.color import join, lightness
from colorlab.layers import ChromaHead, PictureHead, count_parameters
from colorlab.losses import REGRESSION_LOSSES
from colorlab.models import MODELS, build, name_of
from colorlab.models.classifier import BinHead
from colorlab.models.resnet import ResNet, ResNetConfig
from colorlab.models.unet import UNet
from colorlab.models.vae import RECIPES

WIDTHS = (8, 16, 16, 16)
COARSE: set[str] = set()  # models without a prediction of their own for each position
every_model = pytest.mark.parametrize("name", list(MODELS))
every_model_and_target = pytest.mark.parametrize(
    ("name", "target"),
    [(name, target) for name, (kind, _) in MODELS.items() for target in kind.targets],
)


def head_of(model: torch.nn.Module, *kinds: type) -> torch.nn.Module:
    return next(m for m in model.modules() if isinstance(m, kinds or (ChromaHead, BinHead)))


@every_model_and_target
def test_it_takes_any_size_and_gives_images(name, target):
    model = build(name, target=target, size=64)
    shape = (2, 2, 16, 16) if target == "ab" else (2, 3, 64, 64)
    assert model(picture().L).shape == shape
    for size in ((64, 64), (50, 77), (1, 1)):
        rgb = stir(model).colorize(30 + 40 * torch.rand(1, 1, *size))
        assert rgb.shape == (1, 3, *size)
        assert rgb.min() >= 0
        assert rgb.max() <= 1
        assert not rgb.requires_grad


@every_model
def test_an_untrained_model_predicts_gray_and_lightness_is_kept(name):
    model = build(name, size=64)
    rgb = model.colorize(picture().L)
    assert (rgb - rgb.mean(1, keepdim=True)).abs().max() < 1e-4
    head = head_of(model)
    with torch.no_grad():  # a weak colour that differs everywhere: no gamut clipping
        torch.nn.init.normal_(head.project.weight, std=0.02)
        torch.nn.init.constant_(head.project.bias, 0.05)
    L = 30 + 40 * torch.rand(1, 1, 96, 128)
    for rgb in (model.colorize(L), model.sample(L, 2, seeded())[1]):
        assert rgb.std(dim=1).max() > 1e-3, "the test needs some colour"
        assert (lightness(rgb) - L).abs().max() < 0.02


@every_model_and_target
def test_alone_and_in_a_batch_is_the_same(name, target):
    model = stir(build(name, target=target, size=64))
    L = picture(3).L
    together = model.colorize(L)
    alone = torch.cat([model.colorize(one) for one in L.split(1)])
    assert (together - alone).abs().max() < 1e-4


# Every model that samples, in each way that it can.
sampling_models = pytest.mark.parametrize(
    ("name", "settings"),
    [
        *[(name, {"recipe": recipe}) for name in ("vae", "unet_vae") for recipe in RECIPES],
        *[(name, {"noise": 4}) for name in ("gan", "unet_gan")],
        *[(name, {"dropout": 0.5, "dropout_at_test": True}) for name in ("gan", "unet_gan")],
        ("diffusion", {"steps": 3}),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(map(str, value.values())),
)


@sampling_models
def test_samples_follow_their_seed_and_survive_a_checkpoint(name, settings, tmp_path):
    model = stir(build(name, size=64, **settings)).eval().half().float()
    L = picture().L
    assert not model.deterministic
    first = model.sample(L, 2, seeded())
    assert first.shape == (2, 2, 3, 64, 64)
    assert torch.equal(first, model.sample(L, 2, seeded()))
    assert (first - model.sample(L, 2, seeded(1))).abs().max() > 1e-3
    assert (first[0] - first[1]).abs().max() > 1e-3
    # A sample does not depend on how many follow, nor on how many are made together.
    torch.testing.assert_close(model.sample(L, 1, seeded())[0], first[0], atol=1e-4, rtol=0)
    assert torch.equal(model.colorize(L), model.colorize(L)), "the single prediction has no seed"
    back = checkpoints.load(str(checkpoints.save(model, "scenes", {}, tmp_path)))
    assert (back.sample(L, 2, seeded()) - first).abs().max() < 1e-4
    assert back.config == model.config


@pytest.mark.parametrize("name", ["resnet", "unet", "gan", "unet_gan", "classifier"])
def test_samples_of_a_deterministic_model_are_its_one_prediction(name):
    model, L = (
        stir(build(name, size=64, **({"dropout": 0.5} if "unet" in name else {}))),
        picture().L,
    )
    assert model.deterministic
    drawn = model.sample(L, 3)
    assert drawn.shape == (3, 2, 3, 64, 64)
    assert all(torch.equal(one, model.colorize(L)) for one in drawn)


@every_model_and_target
def test_each_player_learns_one_batch(name, target):
    """Overfits: within 60 steps on one batch, every player's loss is halved.

    A model that has no prediction of its own for each position cannot pass: list it in COARSE.
    """
    if name in COARSE:
        pytest.skip(f"{name} has no prediction of its own for each position")
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


@every_model_and_target
def test_players_own_every_parameter_once_and_weights_fit_a_checkpoint(name, target):
    model = build(name, target=target)
    owned = [id(p) for player in model.players() for p in player.module.parameters()]
    assert len(owned) == len(set(owned))
    assert set(owned) == {id(p) for p in model.parameters()}
    # 3 MiB in half precision, without what only training needs, or what is a checkpoint itself.
    left_out = {*model.training_only, *model.stands_on}
    kept = (child for n, child in model.named_children() if n not in left_out)
    assert sum(map(count_parameters, kept)) * 2 < 3 * 2**20


@every_model
def test_settings_are_frozen_and_named(name):
    model_class, config_class = MODELS[name]
    assert name.isidentifier(), "a hyphen would separate parts of a checkpoint's name"
    assert name_of(build(name, perceptual=0.0)) == name  # a setting that released cards hold
    with pytest.raises(dataclasses.FrozenInstanceError):
        config_class().target = "rgb"
    with pytest.raises(ValueError, match="'lab'"):
        model_class(config_class(target="lab"))
    with pytest.raises(ValueError, match="wdith"):
        build(name, wdith=3)


@pytest.mark.parametrize(
    ("name", "wrong", "told"),
    [
        ("vgg", {}, "unknown model 'vgg'; choose from resnet, unet"),
        ("unet", {"perceptual": 0.3}, "unet has no setting perceptual; it has attention"),
        ("unet", {"fold": 5}, "fold must be 4 or 8, got 5"),
        ("gan", {"upsampling": "nearest"}, "'nearest'"),
        ("unet_gan", {"normalization": "layer"}, "'layer'"),
        ("vae", {"recipe": "reference", "size": 16}, "got 16"),
        ("vae", {"recipe": "reference", "size": 96}, "got 96"),
        *[("vae", {"sigma": 0.0}, "0.0"), ("unet_vae", {"recipe": "beta"}, "beta")],
        *[("vae", {"beta": -1.0}, "-1.0"), ("unet_vae", {"free_bits": -0.1}, "-0.1")],
        *[("diffusion", {"steps": 0}, "0"), ("diffusion", {"tones": -1.0}, "-1")],
        ("diffusion", {"temperature": -2.0}, "-2"),
        ("diffusion", {"unconditional": 1.0}, "1.0"),
    ],
)
def test_an_unknown_model_and_a_wrong_setting_are_told(name, wrong, told):
    with pytest.raises(ValueError, match=told):
        build(name, **wrong)


def test_models_that_a_colour_error_would_mislead_keep_their_last_weights():
    misled = {"vae", "unet_vae", "gan", "unet_gan", "diffusion", "classifier"}
    assert not any(MODELS[name][0].keeps_best for name in misled)
    assert all(MODELS[name][0].keeps_best for name in ("resnet", "unet"))


def test_validation_score_is_the_distance_in_ab():
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
    model = build("unet", size=64, widths=WIDTHS)
    for call in (model.colorize, model.colorize_8bit, lambda L: model.sample(L, 1)):
        with pytest.raises(ValueError, match=tells):
            call(wrong)
    with pytest.raises(ValueError, match="at least one sample, got n=0"):
        model.sample(picture().L, 0)


@pytest.mark.parametrize("name", ["unet", "unet_vae", "diffusion"])
@every_target
def test_a_fold_of_8_predicts_at_the_same_size(name, target):
    model, L = stir(build(name, target=target, fold=8, size=64)), picture().L
    assert model(L).shape == ((2, 2, 16, 16) if target == "ab" else (2, 3, 64, 64))
    assert model.sample(L[:, :, :50, :37], 2).shape == (2, 2, 3, 50, 37)


@pytest.mark.parametrize("name", [n for n, (kind, _) in MODELS.items() if "rgb" in kind.targets])
def test_an_input_skip_starts_at_the_gray_image(name):
    """With an RGB head of zeros, the prediction is gray to the last digit."""
    model = build(name, target="rgb", size=64, input_skip=True).eval()
    head = head_of(model, PictureHead)
    torch.nn.init.zeros_(head.project.weight)
    torch.nn.init.zeros_(head.project.bias)
    for height, width in ((64, 64), (50, 37)):  # the input is added at its own size: no blur
        L = 100 * torch.rand(1, 1, height, width)
        gray = join(L, torch.zeros(1, 2, height // 4, width // 4))
        assert (model.colorize(L) - gray).abs().max() < 1e-5
        assert (model.sample(L, 2)[1] - gray).abs().max() < 1e-5
    without = build(name, target="rgb", size=64).eval()
    without.load_state_dict(model.state_dict())
    assert (without.colorize(L) - 0.5).abs().max() < 1e-5


def test_saturation_is_a_factor_on_ab():
    model, L = stir(build("unet", size=64)).eval(), picture().L
    ab = model.answers(L, 1)[0]
    for factor in (0.0, 2.0):
        model.saturation = factor
        assert torch.equal(model.colorize(L), join(L, factor * ab))
    model.train().colorize(L)
    assert model.training, "colouring in between leaves a model in training"


def test_a_model_starts_from_the_same_or_from_the_unet_inside_it():
    class Around(UNet):
        def __init__(self, config):
            super().__init__(config)
            self.inner = UNet(config)

    begun = stir(build("unet", size=64, widths=WIDTHS))
    same, model = build("unet", size=64, widths=WIDTHS), Around(begun.config)
    stem = model.stem.block[0].weight.clone()
    same.start_from(begun)
    model.start_from(begun)
    L = 100 * torch.rand(1, 1, 64, 64)
    assert torch.equal(same.colorize(L), begun.colorize(L))
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
    with pytest.raises(ValueError, match="UNet cannot start from ResNet: no part is shared"):
        begun.start_from(build("resnet", size=64))


@pytest.mark.parametrize(
    ("name", "other", "settings"),
    [
        ("unet_gan", "unet", {"noise": 4}),
        ("gan", "resnet", {}),
        ("unet_vae", "unet", {}),
        ("diffusion", "unet", {}),
    ],
)
def test_a_model_that_starts_from_another_predicts_like_it(name, other, settings):
    begun, model = stir(build(other, size=64)).eval(), build(name, size=64, **settings)
    model.start_from(begun)
    L = picture().L
    torch.testing.assert_close(model.eval()(L), begun(L))


@pytest.mark.parametrize(("name", "settings"), [("vae", {}), ("gan", {"upsampling": "transposed"})])
def test_an_encoder_is_taken_from_a_resnet(name, settings):
    resnet, model = stir(build("resnet", size=64)), build(name, size=64, **settings)
    model.start_from(resnet)
    assert same(model.encoder, resnet.encoder)


@pytest.mark.parametrize("loss", sorted(REGRESSION_LOSSES))
def test_a_prediction_of_a_wrong_shape_is_refused_before_a_loss_broadcasts_it(loss):
    class Thin(ResNet):
        def forward(self, L, maps=None):
            return super().forward(L, maps)[..., :1]

    model = Thin(ResNetConfig(loss=loss, size=64))
    with pytest.raises(
        ValueError, match=r"Thin.forward returned \(2, 2, 16, 1\); .* \(2, 2, 16, 16\)"
    ):
        model.players()[0].loss(picture())
