"""The sampler that nothing beats: draws of scenes from the distribution that the world states."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from colorlab.color import join
from colorlab.data.scenes.palettes import PALETTES
from colorlab.data.scenes.rendering import render
from colorlab.data.scenes.sets import SceneSet

SAME = 1e-3  # units of L in [0, 100]: the lightness of one scene, read twice


def exact_samples(
    scenes: SceneSet, n: int, indices: Sequence[int] | None = None, seed: int = 0
) -> np.ndarray:
    """Draw from the true distribution of ab given gray: what no sampler can beat.

    Each thing of several colours draws anew from its palette, by itself; lightness stays the
    same bit for bit. Costs a rendering for each draw.

    Args:
        scenes: the set.
        n: draws of each scene.
        indices: which N scenes; None means all.
        seed: of the draws.

    Returns:
        (n, N, 2, S, S) float32, CIE units.
    """
    chosen = range(len(scenes)) if indices is None else indices
    size = scenes.pictures.size
    random = np.random.default_rng(seed)
    out = np.empty((n, len(chosen), 2, size, size), dtype=np.float32)
    for column, i in enumerate(chosen):
        several = [(t, PALETTES[x.kind].prob) for t, x in enumerate(scenes.things[i])]
        for draw in range(n):
            choices = {t: int(random.choice(len(p), p=p)) for t, p in several if len(p) > 1}
            out[draw, column] = render(scenes.seeds[i], size, choices).lab[1:]
    return out


class ExactDraws:
    """Draws made beforehand, as a row of a table: it knows a scene by its gray picture.

    Args:
        L: (N, 1, S, S) in [0, 100], of the scenes.
        samples: (n, N, 2, s, s) in CIE units, of :func:`exact_samples` or smaller.
    """

    def __init__(self, L: Tensor, samples: np.ndarray | Tensor) -> None:
        self.L, self.samples = L, torch.as_tensor(samples)

    def answers(self, L: Tensor, n: int, generator: torch.Generator | None = None) -> Tensor:
        """The first ``n`` draws (n, M, 2, s, s) of the scenes whose lightness is L (M, 1, S, S).

        Raises:
            ValueError: more draws than were made, or a picture that is none of the scenes.
        """
        if n > len(self.samples):
            raise ValueError(f"{len(self.samples)} draws of each scene were made, got n = {n}")
        apart = torch.stack([(self.L - one).abs().amax(dim=(1, 2, 3)) for one in L])  # (M, N)
        if apart.amin(dim=1).max() > SAME:
            raise ValueError("a gray picture is none of the scenes that were drawn beforehand")
        return self.samples[:n, apart.argmin(dim=1)]

    def finish(self, L: Tensor, ab: Tensor) -> Tensor:
        """Lightness and chroma as sRGB (M, 3, S, S)."""
        return join(L, ab)

    def colorize(self, L: Tensor) -> Tensor:
        """The first draw as sRGB (M, 3, S, S)."""
        return self.finish(L, self.answers(L, 1)[0])
