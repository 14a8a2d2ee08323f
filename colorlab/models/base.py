"""What every colorizer promises: one picture, n pictures, any size, lightness kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colorlab.bands import bands, enlarged_rows
from colorlab.checks import check_lightness
from colorlab.color import downsample_chroma, join, lab_to_rgb, rgb_to_lab, to_uint8
from colorlab.data.loaders import Batch
from colorlab.losses import regression_loss
from colorlab.models.encoders import Maps, perceptual_distance
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
        betas: of the player's AdamW. A GAN's players take a shorter memory of the gradient,
            (0.5, 0.999), since their opponent moves (Radford et al. 2016, section 4).
    """

    name: str
    module: nn.Module
    loss: Callable[[Batch], dict[str, Tensor]]
    rate: float = 1.0
    betas: tuple[float, float] = (0.9, 0.999)


class Colorizer(nn.Module):
    """Base of all models: takes lightness, answers with a picture.

    A model gives ``forward(L)``, which for ``target="ab"`` returns chroma (N, 2, H/4, W/4) in
    CIE units and for ``target="rgb"`` a picture (N, 3, H, W) around [0, 1], and ``players()``.
    H and W are multiples of ``multiple`` inside; ``colorize`` takes any size. A model that draws
    its answers sets ``deterministic = False`` and gives ``draw``.

    Attributes:
        saturation: factor on *ab* in the picture, 1 as predicted; see
            :class:`colorlab.metrics.Boosted`.
        deterministic: one gray picture has one answer.
        keeps_best: training keeps the weights with the lowest ``validation_score``. Where that
            score would choose the wrong weights (the least adversarial ones of a GAN), the last
            weights are kept.
        training_only: names of children that only training needs; released weights leave them out.
        stands_on: child to model: parts that may be a released network, unchanged. Released
            weights then name its checkpoint instead of holding a copy.
        targets: that the model can have.
    """

    saturation: float = 1.0
    multiple: int = 32  # stem (4) times three halvings (8)
    deterministic: bool = True
    keeps_best: ClassVar[bool] = True
    training_only: ClassVar[tuple[str, ...]] = ()
    stands_on: ClassVar[dict[str, str]] = {}
    targets: ClassVar[tuple[str, ...]] = TARGETS

    def __init__(self, config: Any) -> None:
        super().__init__()
        if config.target not in self.targets:
            choice = " or ".join(map(repr, self.targets))
            raise ValueError(f"target must be {choice}, got {config.target!r}")
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
        return self.finish(L, self._single_answer(L))

    @torch.inference_mode()
    def colorize_8bit(self, L: Tensor) -> np.ndarray:
        """As :meth:`colorize`, rounded to (N, H, W, 3) uint8: a quarter of the memory.

        A large picture never stands in memory as floats, see :mod:`colorlab.bands`.
        """
        answer = self._single_answer(L)
        picture = np.empty((len(L), *L.shape[-2:], 3), dtype=np.uint8)
        for rows, band in self._finished_bands(L, answer):
            picture[:, rows] = to_uint8(band)
        return picture

    def _single_answer(self, L: Tensor) -> Tensor:
        """The answer at working size, in evaluation mode."""
        check_lightness(L)
        was_training = self.training
        self.eval()
        try:
            return self.answer(self.resize(L))
        finally:
            self.train(was_training)

    @torch.inference_mode()
    def sample(self, L: Tensor, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw ``n`` pictures for each gray one: (N, 1, H, W) to (n, N, 3, H, W).

        A model with ``deterministic = True`` has one answer and returns it n times.

        Args:
            L: (N, 1, H, W) lightness in [0, 100].
            n: how many.
            generator: of the random numbers; torch's own unless given.

        Raises:
            ValueError: as :meth:`colorize`, or n below 1.
        """
        return torch.stack([self.finish(L, answer) for answer in self.answers(L, n, generator)])

    @torch.inference_mode()
    def mean_of(self, L: Tensor, n: int, generator: torch.Generator | None = None) -> Tensor:
        """The mean of ``n`` draws as one picture (N, 3, H, W), averaged as chroma (or as sRGB).

        Arguments and errors as :meth:`sample`. It estimates the mean of the model's colours,
        which is the best answer under a squared error, and so compares with a regressor's.
        """
        return self.finish(L, self.answers(L, n, generator).mean(dim=0))

    @torch.inference_mode()
    def answers(self, L: Tensor, n: int, generator: torch.Generator | None = None) -> Tensor:
        """``n`` answers at working size, (n, N, 2, h, w) in CIE units or (n, N, 3, h, w) sRGB.

        Arguments and errors as :meth:`sample`.
        """
        check_lightness(L)
        if n < 1:
            raise ValueError(f"want at least one sample, got n={n}")
        was_training = self.training
        self.eval()
        try:
            if self.deterministic:
                return self.answer(self.resize(L)).expand(n, -1, -1, -1, -1)
            return self.draw(self.resize(L), n, generator)
        finally:
            self.train(was_training)

    def draw(self, L: Tensor, n: int, generator: torch.Generator | None) -> Tensor:
        """``n`` answers to L (N, 1, h, w) at working size; models that draw override this."""
        raise NotImplementedError

    def start_from(self, begun: Colorizer) -> None:
        """Take over the weights of a trained network of the same kind, or of a part of this one.

        A UNetVAE that begins with a UNet puts the weights into its own UNet; a model of the same
        class takes all. Otherwise every child that both have, by name and shape, is taken.

        Raises:
            ValueError: the two have nothing in common.
        """
        target = next((m for m in self.modules() if type(m) is type(begun)), self)
        mine, theirs = target.state_dict(), begun.state_dict()
        shared = {k for k in mine.keys() & theirs.keys() if mine[k].shape == theirs[k].shape}
        whole = [
            name
            for name, child in target.named_children()
            if (names := {f"{name}.{key}" for key in child.state_dict()}) and names <= shared
        ]
        if not whole:
            raise ValueError(
                f"{type(self).__name__} cannot start from {type(begun).__name__}: no part is shared"
            )
        taken = {k: v for k, v in theirs.items() if k.split(".")[0] in whole}
        target.load_state_dict(taken, strict=False)

    def answer(self, L: Tensor, maps: Maps = None) -> Tensor:
        """The network's single answer at working size; samplers override this.

        ``maps`` are those of the pretrained encoder, where they are known already.
        """
        return self(L) if maps is None else self(L, maps)

    @property
    def adds_input(self) -> bool:
        """Whether an RGB prediction is what is added to the gray picture (``input_skip``)."""
        return self.config.target == "rgb" and getattr(self.config, "input_skip", False)

    def with_input(self, answer: Tensor, L: Tensor) -> Tensor:
        """An RGB prediction (N, 3, H, W) with the gray picture added, where ``input_skip`` asks.

        A skip connection from the input to the output, as any RGB U-Net has one: the network then
        predicts what colour changes, not the whole picture anew. Others stay as they are.
        """
        # The head answers around middle gray.
        return answer - 0.5 + _gray(L) if self.adds_input else answer

    def resize(self, L: Tensor) -> Tensor:
        """L (N, 1, H, W) at about the area it was trained on, in multiples of ``multiple``."""
        return resize_to_area(L, self.config.size, self.multiple)

    def finish(self, L: Tensor, answer: Tensor) -> Tensor:
        """Turn an answer at working size into pictures (N, 3, H, W) of the size of L.

        Where the gray picture was added (``input_skip``), it is added at the size of L.
        """
        if len(bands(*L.shape[-2:])) == 1:
            return self._finish(L, self._without_input(L, answer))
        picture = L.new_empty((len(L), 3, *L.shape[-2:]))
        for rows, band in self._finished_bands(L, answer):
            picture[..., rows, :] = band
        return picture

    def _finished_bands(self, L: Tensor, answer: Tensor) -> Iterator[tuple[slice, Tensor]]:
        """The picture as rows and (N, 3, R, W): a small one whole, a large one in bands."""
        height, width = L.shape[-2:]
        parts = bands(height, width)
        answer = self._without_input(L, answer)
        for rows in parts:
            here = answer if len(parts) == 1 else enlarged_rows(answer, height, rows)
            yield rows, self._finish(L[..., rows, :], here)

    def _finish(self, L: Tensor, answer: Tensor) -> Tensor:
        if self.config.target == "ab":
            return join(L, answer if self.saturation == 1 else self.saturation * answer)
        if answer.shape[-2:] != L.shape[-2:]:
            answer = F.interpolate(answer, size=L.shape[-2:], mode="bilinear", antialias=True)
        return (answer + _gray(L) if self.adds_input else answer).clamp(0, 1)

    def _without_input(self, L: Tensor, answer: Tensor) -> Tensor:
        """What :meth:`with_input` added, taken away: the change of colour alone is enlarged."""
        return answer - _gray(self.resize(L)) if self.adds_input else answer

    def validation_score(self, batch: Batch) -> Tensor:
        """Colour error of each picture (N,), lower is better: what best-by-validation watches.

        The mean distance in the ab plane at chroma size, that is Delta-E 76 at equal lightness.
        """
        if self.config.target == "ab" and self.deterministic:
            with torch.inference_mode():
                ab = self.answer(batch.L, batch.maps)
        else:
            lab = rgb_to_lab(self.colorize(batch.L))
            ab = downsample_chroma(lab[:, 1:])
        return (ab - batch.ab).square().sum(dim=1).sqrt().mean(dim=(1, 2))


def _gray(L: Tensor) -> Tensor:
    """The gray picture of L as sRGB (N, 3, H, W)."""
    return lab_to_rgb(torch.cat((L, torch.zeros_like(L).expand(-1, 2, -1, -1)), dim=1))


class Regressor(Colorizer):
    """A colorizer trained to come close to the truth: one player, one regression loss."""

    def players(self) -> list[Player]:
        """One player; its only term bears the loss's name."""
        return [Player("colorizer", self, self._loss)]

    def _loss(self, batch: Batch) -> dict[str, Tensor]:
        measure = regression_loss(self.config.loss)
        prediction = self.answer(batch.L, batch.maps)
        if self.config.target == "ab":
            terms = {self.config.loss: measure(prediction / 110, batch.ab / 110)}
            if weight := getattr(self.config, "perceptual", 0.0):
                far = perceptual_distance(batch.L, prediction, batch.ab)
                terms["perceptual"] = weight * far
            return terms
        return {self.config.loss: measure(prediction, batch.rgb)}
