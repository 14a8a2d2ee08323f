"""Columns and rows of a table: metrics, the grammar of rows' names, rows made of samples.

The protocol: sRGB rounded to 8 bit, since a reader's file is 8 bit too; one number for each image
and metric, then the mean over images with a bootstrap interval. Fixed, so that numbers compare
between models, days and machines.

A name is a model, or a model and what is made of it: ``unet``, ``unet-rgb``, ``unet_vae:sample``,
``unet_vae:mean8``, ``unet_vae:best8``, ``unet:boost1.5``; ``levin200`` and ``guided200`` get 200
hints. :func:`parse` is the only place that reads them. :class:`Sampled`, :class:`MeanOf`,
:class:`BestOf` and :class:`Boosted` are the rows themselves. Each wraps a model and can be measured
as any other row: ``evaluate({"best of 8": BestOf(model, 8)}, pictures)``.

Every image has its own random generator, whose seed is the next number of torch's generator. So
the digits depend on the seed that :func:`evaluate` sets and on the image's position in the set, and
neither on the batch size nor on n.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from colorlab.color import from_uint8, lightness
from colorlab.metrics.pairs import colorfulness, delta_e00, delta_e76, psnr, ssim
from colorlab.metrics.perceptual import lpips

if TYPE_CHECKING:
    from colorlab.data.cache import Pictures
    from colorlab.models.base import Colorizer

# ---- columns


@dataclass(frozen=True)
class Column:
    """One column of a table: its heading, digits shown, and which way is better."""

    label: str
    digits: int
    better: str  # "higher", "lower", or "" where neither is: colourfulness has no right amount

    @property
    def heading(self) -> str:
        """The label with an arrow towards better."""
        return self.label + {"higher": " ↑", "lower": " ↓", "": ""}[self.better]


@dataclass(frozen=True)
class Metric(Column):
    """A column that compares generated images with the truth."""

    compare: Callable[[Tensor, Tensor], Tensor]  # (N, 3, H, W) sRGB in [0, 1] twice -> (N,)


METRICS: dict[str, Metric] = {
    "ssim": Metric("SSIM", 3, "higher", ssim),
    "lpips": Metric("LPIPS", 3, "lower", lpips),
    "de76": Metric("ΔE76", 1, "lower", delta_e76),
    "de00": Metric("ΔE00", 1, "lower", delta_e00),
    "psnr": Metric("PSNR", 1, "higher", psnr),
    "colorfulness": Metric(
        "colourfulness", 1, "", lambda generated, truth: colorfulness(generated)
    ),
}

# Of a model's samples: see colorlab/metrics/diversity.py.
DIVERSITY: dict[str, Column] = {
    "de76_one": Column("ΔE76 of one", 1, "lower"),
    "de76_mean": Column("of the mean", 1, "lower"),
    "de76_best": Column("of the best", 1, "lower"),
    "energy": Column("energy score", 1, "lower"),
    "pairwise_ab": Column("pairwise ab", 1, ""),
    "one_lpips": Column("LPIPS of one", 3, "lower"),
    "pairwise_lpips": Column("pairwise LPIPS", 3, ""),
}
# Against the stated colours of the drawn world: see colorlab/metrics/known_world.py.
KNOWN: dict[str, Column] = {
    "to_best": Column("to its best prediction", 1, "lower"),
    "to_mean": Column("to the exact mean", 1, "lower"),
    "energy_distance": Column("to the palette", 1, "lower"),
    "total_variation": Column("palette off by", 2, "lower"),
    "coverage": Column("colours covered", 2, "higher"),
    "near_borders": Column("off near borders", 1, "lower"),
    "inside": Column("inside", 1, "lower"),
    "held": Column("truth in 90 % set", 2, ""),
}
# Where the gray image changes and the colours do not: see colorlab/metrics/consistency.py. None has
# a better end, since gray has 0 everywhere.
CONSISTENCY: dict[str, Column] = {
    "mirror": Column("mirrored", 2, ""),
    "shift": Column("shifted", 2, ""),
    "half": Column("half size", 2, ""),
    "jpeg": Column("JPEG 75", 2, ""),
    "darker": Column("darker", 2, ""),
    "brighter": Column("brighter", 2, ""),
    "ortho": Column("red-blind film", 2, ""),
    "noise": Column("new noise", 2, ""),
}
# Of sets of images: see colorlab/metrics/sets.py.
SETS: dict[str, Column] = {
    "kid": Column("KID × 1000", 1, "lower"),
    "kid_p": Column("p of the permutation test", 2, ""),
}
# Every column that a table may have.
COLUMNS: dict[str, Column] = DIVERSITY | KNOWN | CONSISTENCY | SETS | METRICS


def round_to_8_bit(rgb: Tensor) -> Tensor:
    """Round sRGB (N, 3, H, W) in [0, 1] to the 256 values that a file can hold, still in [0, 1]."""
    return (rgb.clamp(0, 1) * 255).round() / 255


# ---- rows

BASELINES = ("gray", "mean", "lut", "oracle64")  # stand beside every table
WORLD = "world"  # samples of the drawn world itself, see colorlab/metrics/known_world.py
TRUTH = "truth"  # true photographs against other true ones, see colorlab/metrics/sets.py
_HINTED = re.compile(r"(levin|guided)([1-9]\d*)")
MOST = 8.0  # of a boost: a larger factor turns noise up, not colour
_MADE = re.compile(r"(.+):(?:(sample)|(mean|best)([1-9]\d*)|(boost)(\d+(?:\.\d+)?)?)")


class RowName(NamedTuple):
    """The parts of a row's name, such as ``("unet_vae", "best", 8)`` of ``unet_vae:best8``.

    Attributes:
        model: a model or method, as :func:`colorlab.load` takes it.
        made: ``"sample"``, ``"mean"``, ``"best"`` or ``"boost"`` after the colon, ``"hints"`` of
            levin and guided, or ``""``.
        number: of samples or of hints; the factor of a boost, None if only the model's card says
            it; None without ``made``.
    """

    model: str
    made: str = ""
    number: float | None = None


def parse(name: str) -> RowName:
    """Split a row's name. What is not in the grammar is a model's name, known or not."""
    if match := _HINTED.fullmatch(name):
        return RowName(match[1], "hints", int(match[2]))
    if match := _MADE.fullmatch(name):
        model, one, several, n, boost, factor = match.groups()
        if boost:
            return RowName(model, boost, float(factor) if factor else None)
        return RowName(model, one or several, int(n or 1))
    return RowName(name)


def sees_truth(name: str) -> bool:
    """Whether a row of this name is computed from the true colours, as an oracle is."""
    row = parse(name)
    if row.made:
        return row.made in ("best", "hints")
    return row.model in (WORLD, TRUTH) or re.fullmatch(r"oracle\d*", row.model) is not None


class Row(Protocol):
    """What can be measured: anything that turns lightness into an image.

    A row that is allowed to see the truth, an oracle, defines
    ``colorize_known(L, rgb)`` instead. A text ``note`` is printed below the table.
    """

    def colorize(self, L: Tensor) -> Tensor:
        """L (N, 1, H, W) in [0, 100] to sRGB (N, 3, H, W) in [0, 1]."""


def picture_generator(device: torch.device | str) -> torch.Generator:
    """A generator on ``device`` for one image, seeded by torch's own on the CPU."""
    return torch.Generator(device).manual_seed(int(torch.randint(1 << 62, (1,))))


class Made:
    """Images that were coloured elsewhere, the rows of :mod:`colorlab.metrics.answers`.

    Args:
        rgb: (N, S, S, 3) uint8, in the order of the set that is measured.
        note: printed below the table; none if empty.
    """

    def __init__(self, rgb: np.ndarray, note: str = "") -> None:
        self.rgb = rgb
        if note:
            self.note = note


class MeanOf:
    """The mean *ab* of n samples: the model's estimate of the mean colours.

    Args:
        model: has ``mean_of(L, n, generator)``, as every :class:`Colorizer`.
        n: samples of each image, at least 1.
    """

    def __init__(self, model: Colorizer, n: int) -> None:
        if n < 1:
            raise ValueError(f"want at least one draw a picture, got n={n}")
        self.model, self.n = model, n

    def colorize(self, L: Tensor) -> Tensor:
        """L (N, 1, H, W) in [0, 100] to sRGB (N, 3, H, W)."""
        return torch.cat(
            [self.model.mean_of(gray, self.n, picture_generator(L.device)) for gray in L.split(1)]
        )


class Sampled(MeanOf):
    """One sample of each image: what a user of the model gets."""

    def __init__(self, model: Colorizer) -> None:
        super().__init__(model, 1)


class Boosted:
    """A model's *ab* times a factor: the baseline of every vivid model.

    Saturation can be raised at no cost. A vivid model that scores no better than a boosted safe
    model of equal colourfulness has learned nothing else.

    Args:
        model: predicts *ab*.
        factor: at least 0, see :func:`matching_factor`.
    """

    def __init__(self, model: Colorizer, factor: float) -> None:
        if not factor >= 0:  # nor NaN
            raise ValueError(f"the factor must not be negative, got {factor}")
        if model.config.target != "ab":
            raise ValueError(
                f"only ab can be turned up, and this model predicts {model.config.target}"
            )
        self.model, self.factor = model, factor

    def colorize(self, L: Tensor) -> Tensor:
        """L (N, 1, H, W) in [0, 100] to sRGB (N, 3, H, W)."""
        return self.model.finish(L, self.factor * self.model.answers(L, 1)[0])


def matching_factor(model: Colorizer, pictures: Pictures, wanted: float) -> float:
    """The factor of :class:`Boosted` at which mean colourfulness is ``wanted``, to 1 in 1,000.

    Args:
        model: predicts *ab*; deterministic.
        pictures: to choose it on, validation pictures.
        wanted: mean colourfulness to reach, such as the truth's.

    Raises:
        ValueError: a factor of 8 does not reach it.
    """
    known = []
    for start in range(0, len(pictures), 16):
        L = lightness(from_uint8(pictures.rgb[start : start + 16]))
        known.append((L, model.answers(L, 1)[0]))
    low, high = 0.0, MOST
    while high - low > 0.001 * high:
        factor = (low + high) / 2
        made = [colorfulness(round_to_8_bit(model.finish(L, factor * ab))) for L, ab in known]
        low, high = (factor, high) if torch.cat(made).mean() < wanted else (low, factor)
    if high == MOST:
        raise ValueError(
            f"ab times {MOST:g} does not reach a colourfulness of {wanted:.1f}; "
            "the model predicts nearly gray"
        )
    return (low + high) / 2


class BestOf:
    """The sample nearest to the truth in Delta-E 76. It sees the truth, as an oracle does.

    It therefore has no ``colorize``; :func:`colorlab.metrics.evaluate` calls
    :meth:`colorize_known`. Its error falls with n by chance alone.

    Args:
        model: has ``sample(L, n, generator)``, as every :class:`Colorizer`.
        n: samples of each image, at least 1.
    """

    def __init__(self, model: Colorizer, n: int) -> None:
        self.model, self.n = model, n
        self.note = (
            f"the nearest of {n} samples to the truth in ΔE76; it sees the truth, as an oracle does"
        )

    def colorize_known(self, L: Tensor, rgb: Tensor) -> Tensor:
        """L (N, 1, H, W) and the true sRGB (N, 3, H, W) to sRGB (N, 3, H, W)."""
        best = []
        for gray, truth in zip(L.split(1), rgb.split(1), strict=True):
            samples = self.model.sample(gray, self.n, picture_generator(L.device))[:, 0]
            # Rounded as the protocol rounds, so that the best here is the best in the table.
            errors = delta_e76(round_to_8_bit(samples), truth.expand_as(samples))
            best.append(samples[errors.argmin()])
        return torch.stack(best)
