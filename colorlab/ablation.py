"""What each part of the photo UNet's recipe is worth: one change at a time, all else equal.

Small pictures and a short training, so that a laptop can repeat it. Two rows tell what a
difference means: the same recipe from another seed, and how much more pictures would help.
Shown in notebook 11.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from colorlab.models.base import Colorizer

BASE = "base"


@dataclass(frozen=True)
class Change:
    """One row of the table.

    Attributes:
        name: of the row, and of the folder of its run.
        about: what is different, in words.
        options: of ``colorlab train``, after those of :data:`RECIPE`, which they override.
        first: options of a training that comes first and takes a third of the steps; the rest
            starts from its weights.
    """

    name: str
    about: str
    options: tuple[str, ...] = ()
    first: tuple[str, ...] = ()


# A seventh of the pictures that the released UNet's first run saw, each of a quarter of the area.
RECIPE = (
    *("--loss", "huber", "--dropout", "0.1", "--weight-decay", "0.05", "--augment", "crop"),
    *("--batch-size", "64", "--learning-rate", "2e-3", "--ema", "0.995"),
)
CHANGES = (
    Change(BASE, "crops and flips, Huber, attention, dropout .1, averaged weights"),
    Change("seed", "the same from another seed", ("--seed", "1")),
    Change("450 pictures", "an eighth of the photographs, as many steps", ("--limit", "450")),
    Change("900 pictures", "a quarter of the photographs, as many steps", ("--limit", "900")),
    Change("1800 pictures", "half of the photographs, as many steps", ("--limit", "1800")),
    Change("no augmentation", "each picture whole, as it is", ("--augment", "none")),
    Change("flips only", "each picture whole, half of them mirrored", ("--augment", "flip")),
    Change("tone curves", "also a random tone curve on L", ("--augment", "tone")),
    Change("masked start", "a third of the steps with half of L hidden", (), ("--augment", "mask")),
    Change("mse", "mean squared error", ("--loss", "mse")),
    Change("l1", "mean absolute error, channel by channel", ("--loss", "l1")),
    Change("no averaging", "the weights of the last step", ("--ema", "0")),
    Change("no attention", "convolutions alone", ("--set", "attention=false")),
    Change("half width", "a quarter of the weights", ("--set", "widths=[16,32,48,64]")),
    Change("dropout .3", "three times as much dropped", ("--dropout", "0.3")),
)
FLIPPED = "flip at test time"
FLIPPED_ABOUT = "the base's answer averaged with that to the mirrored picture"


class FlipAveraged:
    """A colorizer whose chroma is the mean of its answers to a picture and to its mirror image.

    Two looks for one answer. Source: Krizhevsky et al. 2012, section 4.1 (test-time averaging).
    """

    def __init__(self, model: Colorizer) -> None:
        self.model = model.eval()

    def colorize(self, L: Tensor) -> Tensor:
        """As :meth:`colorlab.models.base.Colorizer.colorize`."""
        plain = self.model.answers(L, 1)[0]
        mirrored = self.model.answers(L.flip(-1), 1)[0].flip(-1)
        return self.model.finish(L, (plain + mirrored) / 2)
