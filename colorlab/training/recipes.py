"""How each released network of photographs is trained: settings, order and share of the time.

``colorlab train --all`` follows this list. A network that starts from another one comes after it.
The shares are roughly those of the released weights.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

_REFERENCE = ("--set", 'recipe="reference"')


@dataclass(frozen=True)
class Recipe:
    """One network of the series, and how it is trained.

    Attributes:
        model: as listed in :data:`colorlab.models.MODELS`.
        target: "ab" or "rgb".
        share: of the whole time, relative to the shares of the other recipes.
        start: the row whose weights it starts from, "" for random ones.
        options: further options of ``colorlab train``.
        draws: rows of its samples in the table of results.
    """

    model: str
    target: str = "ab"
    share: float = 1.0
    start: str = ""
    options: tuple[str, ...] = ()
    draws: tuple[str, ...] = ()

    @property
    def row(self) -> str:
        """Its name in tables: ``unet``, ``unet-rgb``."""
        return self.model if self.target == "ab" else f"{self.model}-{self.target}"


# As the released weights, see data/README.md: a frozen pretrained encoder, whole images.
_PRETRAINED = ("--encoder", "imagenet")
_UNET = (*_PRETRAINED, "--set", "fold=8")
_DRAWN = ("sample", "mean8", "best8")
# The reference course's target, at half the side; the gray image is added to the prediction.
_RGB = ("--size", "128", "--set", "input_skip=true")
RECIPES = (
    Recipe("resnet", share=4, options=(*_PRETRAINED, "--loss", "huber", "--weight-decay", "0.02")),
    Recipe(
        "unet",
        share=10,
        options=(
            *(*_UNET, "--loss", "huber", "--dropout", "0.1", "--weight-decay", "0.05"),
            *("--learning-rate", "1.5e-3"),
        ),
    ),
    Recipe("vae", share=3, start="resnet", options=_PRETRAINED, draws=_DRAWN),
    Recipe(
        "unet_vae",
        share=2,
        start="unet",
        options=(
            *(*_UNET, "--learning-rate", "1e-3"),
            *("--set", "sigma=30", "--set", "latents=[8,0,0]"),
        ),
        draws=_DRAWN,
    ),
    Recipe(
        "gan",
        share=1,
        start="resnet",
        options=(*_PRETRAINED, "--learning-rate", "6e-4", "--set", "l1_weight=40"),
    ),
    Recipe("unet_gan", share=1, start="unet", options=(*_UNET, "--learning-rate", "6e-4")),
    Recipe(
        "diffusion",
        share=6,
        start="unet",
        options=(
            *(*_UNET, "--batch-size", "8", "--learning-rate", "5e-3"),
            *("--set", "reach=60", "--set", "tones=120"),
        ),
        draws=_DRAWN,
    ),
    Recipe(
        "classifier",
        share=3,
        start="unet",
        options=(
            *(*_UNET, "--batch-size", "16", "--learning-rate", "1e-3"),
            *("--weight-decay", "0.05"),
        ),
    ),
    Recipe("resnet", "rgb", options=_RGB),  # with the squared error of the reference course
    Recipe("unet", "rgb", options=_RGB),
    Recipe(
        "diffusion",
        "rgb",
        start="unet-rgb",
        options=("--size", "128", "--batch-size", "8", "--learning-rate", "5e-3"),
        draws=_DRAWN,
    ),
    Recipe("vae", "rgb", options=(*_RGB, *_REFERENCE)),
    Recipe(
        "unet_vae",
        "rgb",
        options=(*_RGB, *_REFERENCE, "--set", "latents=[64,0,0]", "--batch-size", "16"),
    ),
    Recipe(
        "gan",
        "rgb",
        options=(
            *(*_RGB, "--set", 'upsampling="transposed"', "--set", "l1_weight=0"),
            *("--batch-size", "16"),
        ),
    ),
    Recipe("unet_gan", "rgb", options=(*_RGB, "--set", "l1_weight=100", "--batch-size", "16")),
)


def choose(rows: Collection[str] | None = None) -> list[Recipe]:
    """The recipes of these rows, in order; all of them for None.

    Raises:
        ValueError: a row without a recipe, or one that starts from a row that is not chosen.
    """
    known = [recipe.row for recipe in RECIPES]
    rows = known if rows is None else rows
    if unknown := sorted(set(rows) - set(known)):
        raise ValueError(f"no recipe for {', '.join(unknown)}; there are {', '.join(known)}")
    chosen = [recipe for recipe in RECIPES if recipe.row in rows]
    for recipe in chosen:
        if recipe.start and recipe.start not in rows:
            raise ValueError(f"{recipe.row} begins with {recipe.start}; ask for that too")
    return chosen
