"""How each released network of photographs is trained, and what the ablation changes.

``colorlab train --all`` follows :data:`RECIPES`: settings, order and share of the time. A network
that starts from another one comes after it. The shares are roughly those of the released weights.

``colorlab ablate`` trains the photo UNet once for each of :data:`CHANGES`, all else equal: small
images and a short training, so that a laptop can repeat it. Two rows tell what a difference means:
the same recipe from another seed, and how much more images would help. Shown in lesson 11.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from colorlab.training.loop import TrainConfig

Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Recipe:
    """One network of the series, and how it is trained.

    Attributes:
        model: as listed in :data:`colorlab.models.MODELS`.
        target: "ab" or "rgb".
        share: of the whole time, relative to the shares of the other recipes.
        start: the row whose weights and settings it starts from, "" for random weights.
        settings: fields of the model's config.
        training: how to train; the steps follow from the share.
        size: side of the images, None for that of the data.
        draws: rows of its samples in the table of results.
    """

    model: str
    target: str = "ab"
    share: float = 1.0
    start: str = ""
    settings: Settings = field(default_factory=dict)
    training: TrainConfig = field(default_factory=TrainConfig)
    size: int | None = None
    draws: tuple[str, ...] = ()

    @property
    def row(self) -> str:
        """Its name in tables: ``unet``, ``unet-rgb``."""
        return self.model if self.target == "ab" else f"{self.model}-{self.target}"


# As the released weights, see data/README.md: a frozen pretrained encoder, whole images.
_PRETRAINED = {"encoder": "imagenet"}
_UNET = {**_PRETRAINED, "fold": 8}
_DRAWN = ("sample", "mean8", "best8")
_RGB = {"input_skip": True}  # the gray image is added to the prediction
_REFERENCE = {**_RGB, "recipe": "reference"}
_PLAIN, _SMALL_BATCH = TrainConfig(), TrainConfig(batch_size=16)


def _rgb(model: str, settings: Settings = _RGB, training: TrainConfig = _PLAIN, **more) -> Recipe:
    """The reference course's target, with its squared error, at half the side."""
    return Recipe(model, "rgb", settings=settings, training=training, size=128, **more)


RECIPES = (
    Recipe(
        "resnet",
        share=4,
        settings={**_PRETRAINED, "loss": "huber"},
        training=TrainConfig(weight_decay=0.02),
    ),
    Recipe(
        "unet",
        share=10,
        settings={**_UNET, "loss": "huber", "dropout": 0.1},
        training=TrainConfig(weight_decay=0.05, learning_rate=1.5e-3),
    ),
    Recipe("vae", share=3, start="resnet", settings=_PRETRAINED, draws=_DRAWN),
    Recipe(
        "unet_vae",
        share=2,
        start="unet",
        settings={**_UNET, "sigma": 30, "latents": (8, 0, 0)},
        training=TrainConfig(learning_rate=1e-3),
        draws=_DRAWN,
    ),
    Recipe(
        "gan",
        start="resnet",
        settings={**_PRETRAINED, "l1_weight": 40},
        training=TrainConfig(learning_rate=6e-4),
    ),
    Recipe("unet_gan", start="unet", settings=_UNET, training=TrainConfig(learning_rate=6e-4)),
    Recipe(
        "diffusion",
        share=6,
        start="unet",
        settings={**_UNET, "reach": 60, "tones": 120},
        training=TrainConfig(batch_size=8, learning_rate=5e-3),
        draws=_DRAWN,
    ),
    Recipe(
        "classifier",
        share=3,
        start="unet",
        settings=_UNET,
        training=TrainConfig(batch_size=16, learning_rate=1e-3, weight_decay=0.05),
    ),
    _rgb("resnet"),
    _rgb("unet"),
    _rgb(
        "diffusion",
        {},
        TrainConfig(batch_size=8, learning_rate=5e-3),
        start="unet-rgb",
        draws=_DRAWN,
    ),
    _rgb("vae", _REFERENCE),
    _rgb("unet_vae", {**_REFERENCE, "latents": (64, 0, 0)}, _SMALL_BATCH),
    _rgb("gan", {**_RGB, "upsampling": "transposed", "l1_weight": 0}, _SMALL_BATCH),
    _rgb("unet_gan", {**_RGB, "l1_weight": 100}, _SMALL_BATCH),
)


def choose(rows: Collection[str] | None = None) -> list[Recipe]:
    """The recipes of these rows, in order; all of them for None."""
    known = [recipe.row for recipe in RECIPES]
    rows = known if rows is None else rows
    if unknown := sorted(set(rows) - set(known)):
        raise ValueError(f"no recipe for {', '.join(unknown)}; there are {', '.join(known)}")
    chosen = [recipe for recipe in RECIPES if recipe.row in rows]
    for recipe in chosen:
        if recipe.start and recipe.start not in rows:
            raise ValueError(f"{recipe.row} begins with {recipe.start}; ask for that too")
    return chosen


@dataclass(frozen=True)
class Change:
    """One row of the ablation.

    Attributes:
        name: of the row, and of the folder of its run.
        about: what is different, in words.
        training: fields of :class:`TrainConfig` that differ from :data:`BASE_TRAINING`.
        settings: fields of the model's config that differ from :data:`BASE_SETTINGS`.
        limit: the first so many training images, None for all.
        first: fields that differ in a training that comes first and takes a third of the steps;
            the rest starts from its weights.
    """

    name: str
    about: str
    training: Settings = field(default_factory=dict)
    settings: Settings = field(default_factory=dict)
    limit: int | None = None
    first: Settings = field(default_factory=dict)


BASE = "base"
# A seventh of the pictures that the released UNet's first run saw, each of a quarter of the area.
BASE_SETTINGS = {"loss": "huber", "dropout": 0.1}
BASE_TRAINING = TrainConfig(weight_decay=0.05, augment="crop", batch_size=64, ema=0.995)
CHANGES = (
    Change(BASE, "crops and flips, Huber, attention, dropout .1, averaged weights"),
    Change("seed", "the same from another seed", {"seed": 1}),
    Change("450 pictures", "an eighth of the photographs, as many steps", limit=450),
    Change("900 pictures", "a quarter of the photographs, as many steps", limit=900),
    Change("1800 pictures", "half of the photographs, as many steps", limit=1800),
    Change("no augmentation", "each picture whole, as it is", {"augment": "none"}),
    Change("flips only", "each picture whole, half of them mirrored", {"augment": "flip"}),
    Change("tone curves", "also a random tone curve on L", {"augment": "tone"}),
    Change("masked start", "a third of the steps with half of L hidden", first={"augment": "mask"}),
    Change("mse", "mean squared error", settings={"loss": "mse"}),
    Change("l1", "mean absolute error, channel by channel", settings={"loss": "l1"}),
    Change("no averaging", "the weights of the last step", {"ema": 0.0}),
    Change("no attention", "convolutions alone", settings={"attention": False}),
    Change("half width", "a quarter of the weights", settings={"widths": (16, 32, 48, 64)}),
    Change("dropout .3", "three times as much dropped", settings={"dropout": 0.3}),
)
FLIPPED = "flip at test time"
FLIPPED_ABOUT = "the base's answer averaged with that to the mirrored picture"


def choose_changes(only: str | None) -> list[Change]:
    """The changes named, separated by commas, in the order of the list, always with the base."""
    if only is None:
        return list(CHANGES)
    names = {name.strip() for name in only.split(",")} | {BASE}
    if unknown := sorted(names - {change.name for change in CHANGES}):
        known = ", ".join(change.name for change in CHANGES)
        raise ValueError(f"no change {', '.join(unknown)}; there are {known}")
    return [change for change in CHANGES if change.name in names]
