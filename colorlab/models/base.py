"""What every colorizer promises: one picture, n pictures, any size, lightness kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colorlab.checks import check_lightness
from colorlab.color import downsample_chroma, join, rgb_to_lab
from colorlab.data.loaders import Batch
from colorlab.losses import regression_loss
from colorlab.resizing import resize_to_area

TARGETS = ("ab", "rgb")


@dataclass(frozen=True)
class Player:
    """One party of a training game: the module it moves, and its loss on a batch.

    Attributes:
        name: shown in the progress bar, for example ``"generator"``.
        module: whose parameters this player's optimizer owns.
        loss: batch to named terms; the player minimizes their sum.
        rate: factor on the learning rate (two time-scale training gives players different ones).
    """

    name: str
    module: nn.Module
    loss: Callable[[Batch], dict[str, Tensor]]
    rate: float = 1.0


class Colorizer(nn.Module):
    """Base of all models: takes lightness, answers with a picture.

    A model gives ``forward(L)``, which for ``target="ab"`` returns chroma (N, 2, H/4, W/4) in
    CIE units and for ``target="rgb"`` a picture (N, 3, H, W) around [0, 1], and ``players()``.
    H and W are multiples of ``multiple`` inside; ``colorize`` takes any size.
    """

    multiple: int = 32  # stem (4) times three halvings (8)
    deterministic: ClassVar[bool] = True

    def __init__(self, config: Any) -> None:
        super().__init__()
        if config.target not in TARGETS:
            raise ValueError(f"target must be 'ab' or 'rgb', got {config.target!r}")
        self.config = config

    def players(self) -> list[Player]:
        """The parties that training lets step in turn."""
        raise NotImplementedError

    @torch.inference_mode()
    def colorize(self, L: Tensor) -> Tensor:
        """Colour a batch.

        Args:
            L: (N, 1, H, W) lightness in [0, 100], any H and W.

        Returns:
            (N, 3, H, W) sRGB in [0, 1]. With ``target="ab"`` the lightness is the input's own,
            at full size (clipping to the gamut moves it where the chroma is too strong).

        Raises:
            ValueError: wrong shape, or values that are not lightness in [0, 100].
        """
        check_lightness(L)
        was_training = self.training
        self.eval()
        try:
            return self.finish(L, self.answer(self.resize(L)))
        finally:
            self.train(was_training)

    def sample(
        self,
        L: Tensor,
        n: int,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Draw ``n`` pictures for each gray one: (N, 1, H, W) to (n, N, 3, H, W).

        A model with ``deterministic = True`` has one answer and returns it n times.
        """
        if n < 1:
            raise ValueError(f"want at least one sample, got n={n}")
        return self.colorize(L).expand(n, -1, -1, -1, -1)

    def answer(self, L: Tensor) -> Tensor:
        """The network's single answer at working size; samplers override this."""
        return self(L)

    def resize(self, L: Tensor) -> Tensor:
        """L (N, 1, H, W) at about the area it was trained on, in multiples of ``multiple``."""
        return resize_to_area(L, self.config.size, self.multiple)

    def finish(self, L: Tensor, answer: Tensor) -> Tensor:
        """Turn an answer at working size into pictures (N, 3, H, W) of the size of L."""
        if self.config.target == "ab":
            return join(L, answer)
        if answer.shape[-2:] != L.shape[-2:]:
            answer = F.interpolate(answer, size=L.shape[-2:], mode="bilinear", antialias=True)
        return answer.clamp(0, 1)

    def validation_score(self, batch: Batch) -> Tensor:
        """Colour error of each picture (N,), lower is better: what best-by-validation watches.

        The mean distance in the ab plane at chroma size, that is Delta-E 76 at equal lightness.
        """
        if self.config.target == "ab" and self.deterministic:
            with torch.inference_mode():
                ab = self.answer(batch.L)
        else:
            lab = rgb_to_lab(self.colorize(batch.L))
            ab = downsample_chroma(lab[:, 1:])
        return (ab - batch.ab).square().sum(dim=1).sqrt().mean(dim=(1, 2))


class Regressor(Colorizer):
    """A colorizer trained to come close to the truth: one player, one regression loss."""

    def players(self) -> list[Player]:
        """One player; its only term bears the loss's name."""
        return [Player("colorizer", self, self._loss)]

    def _loss(self, batch: Batch) -> dict[str, Tensor]:
        measure = regression_loss(self.config.loss)
        prediction = self(batch.L)
        if self.config.target == "ab":
            return {self.config.loss: measure(prediction / 110, batch.ab / 110)}
        return {self.config.loss: measure(prediction, batch.rgb)}
