"""The protocol: which numbers a table shows, and how each image is prepared.

sRGB rounded to 8 bit, one number for each image and metric, then the mean over images with a
bootstrap interval. Rounding comes first because a reader's file is 8 bit too. Fixed, so that
numbers compare between models, days and machines.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from colorlab.metrics.pairs import colorfulness, delta_e00, delta_e76, psnr, ssim
from colorlab.metrics.perceptual import lpips


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
}
# Every column that a table may have.
COLUMNS: dict[str, Column] = DIVERSITY | KNOWN | CONSISTENCY | METRICS


def round_to_8_bit(rgb: Tensor) -> Tensor:
    """Round sRGB (N, 3, H, W) in [0, 1] to the 256 values that a file can hold, still in [0, 1]."""
    return (rgb.clamp(0, 1) * 255).round() / 255
