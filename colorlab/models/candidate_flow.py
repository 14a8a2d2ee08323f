"""Diffusion that says which colours are possible, and chooses by Bayes' rule.

The denoiser of :class:`colorlab.models.diffusion.Diffusion` must learn three things at once from
noisy chroma: what colours a thing may have, how far it extends, and how to choose. Here two heads
on the frozen UNet learn the first two without any noise (:mod:`colorlab.models.candidates`). The
third needs no learning: the mean of the clean chroma, given a state, is known in closed form. So
a short training draws colours that are not between two. Built in notebook 10, for scenes: it
is trained there and nothing is released, so it does not stand among the listed models.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor, nn

from colorlab import flow
from colorlab.data.loaders import Batch
from colorlab.models.base import Player
from colorlab.models.candidates import Candidates, Pointers, pointing_error, pool, surprise
from colorlab.models.diffusion import Diffusion
from colorlab.models.diffusion_config import DiffusionConfig

LATEST = 0.999  # a state's last time at which it is divided by 1 - t


@dataclass(frozen=True)
class CandidateFlowConfig(DiffusionConfig):
    """Settings of :class:`CandidateFlow`, beside those of its parent.

    Of the parent's, those that shape a denoiser and its loss do nothing here: ``denoiser``,
    ``scale``, ``floor``, ``draws`` and ``unconditional``.

    Attributes:
        candidates: colours that a place may have; the drawn world has up to three, and three were
            too few, since one candidate begins at the mean.
        doublings: of the pointers while they learn, see there.
        further: doublings more in draws. A thing as wide as the picture then takes one colour:
            the flower beds' total variation fell from .22 to .11, and who learns with more
            doublings makes shorter links.
        cell_noise: variance of the noise against which pointers are trained.
        pooled_noise: variance of the noise that is left after pooling; smaller makes each step
            surer of its choice.
        sharpness: factor on the logarithms of the posterior's weights. Chosen, with the variance
            and the doublings, by the colours drawn on the first 196 test scenes.
        linked: pictures of each batch on which the pointers learn; their matrices are large.
    """

    candidates: int = 4
    doublings: int = 3
    further: int = 1
    cell_noise: float = 0.4
    pooled_noise: float = 0.37
    sharpness: float = 1.5
    linked: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, only in (("target", "ab"), ("predicts", "clean"), ("guidance", 1.0)):
            if getattr(self, name) != only:
                raise ValueError(
                    f"{name} must be {only!r} where colours are chosen from candidates, "
                    f"got {getattr(self, name)!r}"
                )
        for name, least in (("candidates", 2), ("doublings", 0), ("further", 0), ("linked", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, got {getattr(self, name)}")


class SeenCandidates(NamedTuple):
    """What the model knows of N pictures, once for all steps and draws.

    Attributes:
        mean: (N, 2, h, w) the UNet's answer, in the model's units.
        colours: (N, 2, K, h, w), see :class:`colorlab.models.candidates.Candidates`.
        log_share: (N, K, h, w).
        sigma: (N, K, h, w).
        links: (N, h w, h w / 4), never repeated: one set for all draws of a picture.
    """

    mean: Tensor
    colours: Tensor
    log_share: Tensor
    sigma: Tensor
    links: Tensor

    def repeat(self, n: int) -> SeenCandidates:
        """For n draws of each picture, all pictures of a draw together."""
        return self.map(lambda x: x.repeat(n, *[1] * (x.ndim - 1)))

    def map(self, change: Callable[[Tensor], Tensor]) -> SeenCandidates:
        """With every map changed, but for the links."""
        return SeenCandidates(*(change(x) for x in self[:-1]), self.links)


class CandidateFlow(Diffusion):
    """L (N, 1, H, W) in [0, 100] to chroma (N, 2, H/4, W/4); needs a trained UNet to start from."""

    def __init__(self, config: CandidateFlowConfig = CandidateFlowConfig()) -> None:
        super().__init__(config)

    def make_denoiser(self) -> nn.Module:
        """The two heads; see :mod:`colorlab.models.candidates`."""
        seen = self.config.widths[:3]
        return nn.ModuleDict(
            {
                "candidates": Candidates(seen, self.config.candidates),
                "pointers": Pointers(seen),
            }
        )

    def look(self, L: Tensor) -> SeenCandidates:
        """What is possible in L (N, 1, H, W), and which places go together."""
        maps, mean = self._maps(L)
        links = self.denoiser["pointers"](maps, self.config.doublings + self.config.further)
        return SeenCandidates(mean, *self.denoiser["candidates"](maps, mean), links)

    def _maps(self, L: Tensor) -> tuple[tuple[Tensor, ...], Tensor]:
        maps = self.unet.climb(*self.unet.encode(L))
        return maps, self.to_units(self.unet.head(maps[0]))

    def clean(self, state: Tensor, t: Tensor, seen: SeenCandidates) -> Tensor:
        """The mean of the clean chroma, given a state (N, 2, h, w) at times t (N,).

        A state over 1 - t is the clean chroma times t / (1 - t), with noise of variance 1. What
        it says beyond the mean is pooled along the links, and weighs the candidates; within one,
        the place's own state moves the answer, as far as its sigma lets it.
        """
        t = flow.along(t.expand(len(state)).clamp(max=LATEST), state)
        heard, rise = state / (1 - t), t / (1 - t)
        plain = rise * seen.mean
        pooled = plain + pool(seen.links, heard - plain)
        where = rise.unsqueeze(2) * seen.colours  # (N, 2, K, h, w)
        own = rise.square() * seen.sigma.square()  # variance of a candidate, as it is heard
        total = own + self.config.pooled_noise
        off = (pooled.unsqueeze(2) - where).square().sum(1)
        weight = self.config.sharpness * (seen.log_share - off / (2 * total) - total.log())
        gain = rise * seen.sigma.square() / (own + 1)
        answers = seen.colours + gain.unsqueeze(1) * (heard.unsqueeze(2) - where)
        return (weight.softmax(1).unsqueeze(1) * answers).sum(2)

    def players(self) -> list[Player]:
        """One player with the terms "surprise" and "pointing"; the UNet stays as it is.

        Raises:
            ValueError: the UNet is not a trained one.
        """
        if not self.unet_is_frozen:
            raise ValueError("candidates are read from a trained UNet: call start_from(unet) first")
        return [Player("candidates", self.denoiser, self._loss, betas=(0.9, 0.99))]

    def _loss(self, batch: Batch) -> dict[str, Tensor]:
        """No state and no time: what is learned here holds for all of them."""
        maps, mean = self._maps(batch.L)
        clean, few = self.to_units(batch.ab), self.config.linked
        links = self.denoiser["pointers"](tuple(m[:few] for m in maps), self.config.doublings)
        return {
            "surprise": surprise(*self.denoiser["candidates"](maps, mean), clean),
            "pointing": pointing_error(links, clean[:few], self.config.cell_noise),
        }
