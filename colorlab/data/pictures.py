"""A set of pictures of one size: what every source of data gives and every loop takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Pictures:
    """Square 8-bit sRGB pictures, usually a memory map, so that opening costs nothing.

    Attributes:
        rgb: (N, S, S, 3) uint8.
        names: N names, file names or scene seeds.
        sha256: identity of the set (names and pixels), cited by cards and results.
        source: where it came from, for example ``"photos:train"``.
    """

    rgb: np.ndarray
    names: tuple[str, ...]
    sha256: str
    source: str

    def __post_init__(self) -> None:
        if self.rgb.ndim != 4 or self.rgb.shape[-1] != 3 or self.rgb.dtype != np.uint8:
            raise ValueError(f"want uint8 (N, S, S, 3), got {self.rgb.dtype} {self.rgb.shape}")
        if len(self.names) != len(self.rgb):
            raise ValueError(f"{len(self.names)} names for {len(self.rgb)} pictures")

    def __len__(self) -> int:
        return len(self.rgb)

    @property
    def size(self) -> int:
        """Side length S in pixels."""
        return self.rgb.shape[1]

    def subset(self, indices: Sequence[int] | np.ndarray) -> Pictures:
        """Pick pictures by index; the source says that it is a part."""
        chosen = np.asarray(indices, dtype=np.int64)
        return Pictures(
            rgb=self.rgb[chosen],
            names=tuple(self.names[i] for i in chosen),
            sha256=self.sha256,
            source=f"{self.source}[{len(chosen)} of {len(self)}]",
        )
