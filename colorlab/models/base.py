"""What every colorizer offers: one image, n samples, any size, with the input's lightness."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colorlab.bands import bands, enlarged_rows, resize_to_area
from colorlab.checks import check_lightness
from colorlab.color import downsample_chroma, join, lab_to_rgb, rgb_to_lab, to_uint8
from colorlab.data.loaders import Batch
from colorlab.losses import regression_loss
from colorlab.models.encoders import SCRATCH, Maps

TARGETS = ("ab", "rgb")


@dataclass(frozen=True)
class Settings:
    """Settings that every model has.

    Attributes:
        target: "ab" predicts the two colour channels and keeps the input's lightness; "rgb"
            predicts the whole image.
        size: side of the training images; other images are resized to about this area.
        encoder: name of a frozen pretrained encoder whose maps are added to the network's own,
            see :mod:`colorlab.models.encoders`; "scratch" for none, as in the lessons.
        input_skip: add the gray image to an RGB prediction, see :meth:`Colorizer.with_input`.
    """

    target: str = "ab"
    size: int = 256
    encoder: str = SCRATCH
    input_skip: bool = False


@dataclass(frozen=True)
class Player:
    """One player of a training game: the module that it trains, and its loss on a batch.

    Attributes:
        name: shown in the progress bar, for example ``"generator"``.
        module: the module whose parameters this player's optimizer updates.
        loss: batch to named terms; the player minimizes their sum.
        rate: factor on the learning rate (two time-scale training gives players different ones).
        betas: of the player's AdamW.
    """

    name: str
    module: nn.Module
    loss: Callable[[Batch], dict[str, Tensor]]
    rate: float = 1.0
    betas: tuple[float, float] = (0.9, 0.999)


class Colorizer(nn.Module):
    """Base of all models: lightness in, a colour image out.

    A model defines ``players()``, a list of :class:`Player` that training updates in turn, and
    ``forward(L, maps=None)`` (``maps``: the pretrained encoder's, see :meth:`answer`). It returns
    *ab* (N, 2, H/4, W/4) in CIE units for ``target="ab"`` and an image (N, 3, H, W) around [0, 1]
    for ``target="rgb"``. Inside, H and W are multiples of ``multiple``; ``colorize`` takes any
    size. A model whose predictions are random sets ``deterministic = False`` and defines
    ``draw(L, n, generator)``: n samples (n, N, ...) for L at working size.

    Attributes:
        saturation: factor on *ab* in the image, 1 as predicted.
        deterministic: the model has one prediction for each gray image.
        keeps_best: training keeps the weights with the lowest ``validation_score``. If false, it
            keeps the last weights, because that score would choose the wrong ones (in a GAN, those
            with the weakest adversarial effect).
        training_only: names of children that only training needs; released weights omit them.
        stands_on: names of children that may be an unchanged released network, each with its
            model's name. Released weights then refer to that checkpoint and hold no copy.
        targets: the targets that the model supports.
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

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Evaluation mode while the body runs, then the mode that there was before."""
        was_training = self.training
        self.eval()
        try:
            yield
        finally:
            self.train(was_training)

    @torch.inference_mode()
    def colorize(self, L: Tensor) -> Tensor:
        """Colour a batch.

        Args:
            L: (N, 1, H, W) lightness in [0, 100], any H and W.

        Returns:
            (N, 3, H, W) sRGB in [0, 1]. With ``target="ab"`` the lightness is that of the input at
            full size, except where a colour is clipped to the gamut.

        Raises:
            ValueError: wrong shape, or values that are not lightness in [0, 100].
        """
        return self.finish(L, self._answer(L))

    @torch.inference_mode()
    def colorize_8bit(self, L: Tensor, out: np.ndarray | None = None) -> np.ndarray:
        """As :meth:`colorize`, rounded to (N, H, W, 3) uint8: a quarter of the memory.

        A large image is converted band by band, see :mod:`colorlab.bands`. ``out`` is such an
        array to write into, if there is one.
        """
        picture = np.empty((len(L), *L.shape[-2:], 3), dtype=np.uint8) if out is None else out
        for rows, band in self._finished_bands(L, self._answer(L)):
            picture[:, rows] = to_uint8(band)
        return picture

    def _answer(self, L: Tensor) -> Tensor:
        check_lightness(L)
        with self.evaluating():
            return self.answer(self.resize(L))

    @torch.inference_mode()
    def sample(self, L: Tensor, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Sample ``n`` images for each gray image: (N, 1, H, W) to (n, N, 3, H, W).

        A model with ``deterministic = True`` returns its one prediction n times.

        Args:
            L: (N, 1, H, W) lightness in [0, 100].
            n: number of samples, at least 1.
            generator: source of the random numbers; torch's global one unless given.
        """
        return torch.stack([self.finish(L, answer) for answer in self.answers(L, n, generator)])

    @torch.inference_mode()
    def mean_of(self, L: Tensor, n: int, generator: torch.Generator | None = None) -> Tensor:
        """The mean of ``n`` samples as one image (N, 3, H, W), averaged in *ab* (or in sRGB).

        It estimates the mean of the model's colours, which minimizes the expected squared error,
        so it can be compared with a regressor's prediction.
        """
        return self.finish(L, self.answers(L, n, generator).mean(dim=0))

    @torch.inference_mode()
    def answers(self, L: Tensor, n: int, generator: torch.Generator | None = None) -> Tensor:
        """``n`` samples at working size, (n, N, 2, h, w) in CIE units or (n, N, 3, h, w) sRGB."""
        check_lightness(L)
        if n < 1:
            raise ValueError(f"want at least one sample, got n={n}")
        with self.evaluating():
            if self.deterministic:
                return self.answer(self.resize(L)).expand(n, -1, -1, -1, -1)
            return self.draw(self.resize(L), n, generator)

    def start_from(self, begun: Colorizer) -> None:
        """Copy the weights of a trained network of the same class, or of a part of this model.

        A model of the same class gives all its weights. A UNet's weights go into the UNet inside a
        UNetVAE. Otherwise every child is copied that both have with the same names and shapes.

        Raises:
            ValueError: the two have no child in common.
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
        """The network's single prediction at working size; models that sample may override this.

        ``maps``, here and in all models, are the pretrained encoder's for L, if already known.
        """
        return self(L) if maps is None else self(L, maps)

    @property
    def adds_input(self) -> bool:
        """Whether an RGB prediction is what is added to the gray image."""
        return self.config.target == "rgb" and self.config.input_skip

    def with_input(self, answer: Tensor, L: Tensor) -> Tensor:
        """Add the gray image to an RGB prediction (N, 3, H, W) if the setting ``input_skip`` is on.

        With this skip connection from the input to the output, the network predicts only the
        difference between the colour image and the gray one.
        """
        # The head predicts around middle gray.
        return answer - 0.5 + _gray(L) if self.adds_input else answer

    def resize(self, L: Tensor) -> Tensor:
        """L (N, 1, H, W) at about the area of the training images, in multiples of ``multiple``."""
        return resize_to_area(L, self.config.size, self.multiple)

    def finish(self, L: Tensor, answer: Tensor) -> Tensor:
        """Turn a prediction at working size into images (N, 3, H, W) of the size of L."""
        return torch.cat([band for _, band in self._finished_bands(L, answer)], dim=-2)

    def _finished_bands(self, L: Tensor, answer: Tensor) -> Iterator[tuple[slice, Tensor]]:
        """The image as rows and (N, 3, R, W): a small one whole, a large one in bands."""
        height, width = L.shape[-2:]
        parts = bands(height, width)
        if self.adds_input:  # only the change of colour is enlarged, the gray image has its size
            answer = answer - _gray(self.resize(L))
        for rows in parts:
            here = answer if len(parts) == 1 else enlarged_rows(answer, height, rows)
            yield rows, self._finish(L[..., rows, :], here)

    def _finish(self, L: Tensor, answer: Tensor) -> Tensor:
        if self.config.target == "ab":
            return join(L, answer if self.saturation == 1 else self.saturation * answer)
        if answer.shape[-2:] != L.shape[-2:]:
            answer = F.interpolate(answer, size=L.shape[-2:], mode="bilinear", antialias=True)
        return (answer + _gray(L) if self.adds_input else answer).clamp(0, 1)

    def validation_score(self, batch: Batch) -> Tensor:
        """Colour error of each image (N,), lower is better; it chooses the weights to keep.

        The mean distance in the ab plane at a quarter of the size: Delta-E 76 at equal lightness.
        """
        if self.config.target == "ab" and self.deterministic:
            with torch.inference_mode():
                ab = self.answer(batch.L, batch.maps)
        else:
            lab = rgb_to_lab(self.colorize(batch.L))
            ab = downsample_chroma(lab[:, 1:])
        return (ab - batch.ab).square().sum(dim=1).sqrt().mean(dim=(1, 2))


def _gray(L: Tensor) -> Tensor:
    """The gray image of L as sRGB (N, 3, H, W)."""
    return lab_to_rgb(torch.cat((L, torch.zeros_like(L).expand(-1, 2, -1, -1)), dim=1))


class Regressor(Colorizer):
    """A colorizer trained with a regression loss, by one player.

    Its config has a field ``loss``, a name in :data:`colorlab.losses.REGRESSION_LOSSES`.
    """

    def players(self) -> list[Player]:
        """One player, whose term has the name of the loss."""
        return [Player("colorizer", self, self._loss)]

    def _loss(self, batch: Batch) -> dict[str, Tensor]:
        measure = regression_loss(self.config.loss)
        prediction = self.answer(batch.L, batch.maps)
        ab = self.config.target == "ab"
        truth = batch.ab if ab else batch.rgb
        # A loss would broadcast a wrong shape without a word, and the network would learn that.
        if prediction.shape != truth.shape:
            raise ValueError(
                f"{type(self).__name__}.forward returned {tuple(prediction.shape)}; for target "
                f"{self.config.target!r} it must be {tuple(truth.shape)}"
            )
        unit = 110 if ab else 1
        return {self.config.loss: measure(prediction / unit, truth / unit)}
