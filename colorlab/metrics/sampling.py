"""Rows made of a model: one draw, the mean of n, the best of n; and its colours turned up.

Each wraps a model and can be measured as any other row:
``evaluate({"best of 8": BestOf(model, 8)}, pictures)``. Every picture draws from a generator
of its own, whose seed is the next number of torch's generator. So the digits depend on the
seed that :func:`evaluate` sets and on the picture's place in the set, and neither on the batch
size nor on n.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from colorlab.color import from_uint8, lightness
from colorlab.metrics.pairs import colorfulness, delta_e76
from colorlab.metrics.protocol import round_to_8_bit

if TYPE_CHECKING:
    from colorlab.data.pictures import Pictures
    from colorlab.models.base import Colorizer

_SEEDS = 1 << 62


def picture_generator(device: torch.device | str) -> torch.Generator:
    """A generator on ``device`` for one picture, seeded by torch's own on the CPU."""
    return torch.Generator(device).manual_seed(int(torch.randint(_SEEDS, (1,))))


class MeanOf:
    """The mean of n draws, averaged as chroma: the model's estimate of the mean colours.

    Args:
        model: has ``mean_of(L, n, generator)``, as every :class:`Colorizer`.
        n: draws a picture.

    Raises:
        ValueError: n below 1.
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
    """One draw of each picture: what a user of the model gets."""

    def __init__(self, model: Colorizer) -> None:
        super().__init__(model, 1)


class Boosted:
    """A model's *ab* times a factor: the baseline of every vivid model.

    Whoever turns a safe model's saturation up has as much colour as one likes for nothing. A vivid
    model that scores no better at equal colourfulness has learned to turn that knob.

    Args:
        model: predicts *ab*.
        factor: see :func:`matching_factor`.

    Raises:
        ValueError: the factor is negative, or the model predicts RGB.
    """

    def __init__(self, model: Colorizer, factor: float) -> None:
        if not factor >= 0:
            raise ValueError(f"the factor must not be negative, got {factor}")
        if model.config.target != "ab":
            raise ValueError(
                f"only ab can be turned up, and this model predicts {model.config.target}"
            )
        self.model, self.factor = model, factor

    def colorize(self, L: Tensor) -> Tensor:
        """L (N, 1, H, W) in [0, 100] to sRGB (N, 3, H, W)."""
        return self.model.finish(L, self.factor * self.model.answers(L, 1)[0])


def matching_factor(model: Colorizer, pictures: Pictures, wanted: float | None = None) -> float:
    """The factor of :class:`Boosted` at which mean colourfulness is the truth's, to 1 in 1,000.

    Args:
        model: predicts *ab*; deterministic.
        pictures: to choose it on, validation pictures.
        wanted: colourfulness to reach; that of the pictures unless told.
    """
    if wanted is None:
        wanted = float(colorfulness(from_uint8(torch.from_numpy(np.array(pictures.rgb)))).mean())
    known = []
    for start in range(0, len(pictures), 16):
        L = lightness(from_uint8(torch.from_numpy(np.array(pictures.rgb[start : start + 16]))))
        known.append((L, model.answers(L, 1)[0]))
    low, high = 0.0, 8.0
    while high - low > 0.001 * high:
        factor = (low + high) / 2
        made = [colorfulness(round_to_8_bit(model.finish(L, factor * ab))) for L, ab in known]
        low, high = (factor, high) if torch.cat(made).mean() < wanted else (low, factor)
    return (low + high) / 2


class BestOf:
    """The draw nearest to the truth in Delta-E 76. It sees the truth, as an oracle does.

    It therefore has no ``colorize``; :func:`colorlab.metrics.evaluate` calls
    :meth:`colorize_known`. Its error falls with n by chance alone.

    Args:
        model: has ``sample(L, n, generator)``, as every :class:`Colorizer`.
        n: draws a picture.

    Attributes:
        note: printed below every table with this row.

    Raises:
        ValueError: n below 1.
    """

    def __init__(self, model: Colorizer, n: int) -> None:
        if n < 1:
            raise ValueError(f"want at least one draw a picture, got n={n}")
        self.model, self.n = model, n
        self.note = (
            f"of {n} draws the nearest to the truth in ΔE76; it sees the truth, as an oracle does"
        )

    def colorize_known(self, L: Tensor, rgb: Tensor) -> Tensor:
        """L (N, 1, H, W) and the true sRGB (N, 3, H, W) to sRGB (N, 3, H, W)."""
        return torch.cat(
            [self._best(gray, truth) for gray, truth in zip(L.split(1), rgb.split(1), strict=True)]
        )

    def _best(self, L: Tensor, truth: Tensor) -> Tensor:
        draws = self.model.sample(L, self.n, picture_generator(L.device))[:, 0]  # (n, 3, H, W)
        # Rounded as the protocol rounds, so that the best here is the best in the table.
        errors = delta_e76(round_to_8_bit(draws), truth.expand_as(draws))
        return draws[errors.argmin()][None]
