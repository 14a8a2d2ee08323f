"""The light network that a diffusion model runs at every step.

A small UNet over the noisy chroma. It knows the gray picture from maps that were made once for
all steps: at each scale they scale and shift its features at each place (Park et al. 2019,
"Semantic image synthesis with spatially-adaptive normalization", equation 1), and so does the
time, everywhere alike (Perez et al. 2018, "FiLM"). Built in notebook 10.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colorlab.layers import SelfAttention

TIME_WIDTH = 64
GROUPS = 4  # of a normalization; that of a batch would mix states of all times, and their colours
EARLIEST = 0.01  # times nearer to 0 or 1 than this look the same
# Per radian of log(t / (1 - t)), which runs from -4.6 to 4.6: from one slow bend to three turns.
FREQUENCIES = (0.25, 0.5, 1.0, 2.0, 4.0)


class Seen(NamedTuple):
    """What the model knows of L: all of it is zero where L is withheld.

    Attributes:
        mean: (N, C, h, w) the UNet's own answer, in the model's units.
        modulations: of the denoiser's blocks.
    """

    mean: Tensor
    modulations: tuple[Tensor, ...]

    def repeat(self, n: int) -> Seen:
        """For n draws of each picture: (n * N, ...), all pictures of a draw together."""
        return self.map(lambda x: x.repeat(n, 1, 1, 1))

    def keep(self, kept: Tensor) -> Seen:
        """Withhold L where ``kept`` (N,) is false."""
        return self.map(lambda x: x * kept.to(x)[:, None, None, None])

    def map(self, change: Callable[[Tensor], Tensor]) -> Seen:
        """With every map changed."""
        return Seen(change(self.mean), tuple(change(m) for m in self.modulations))


class TimeEmbedding(nn.Sequential):
    """Times (N,) in [0, 1] to (N, 64): waves of the log of signal over noise, mixed."""

    def __init__(self) -> None:
        super().__init__(nn.Linear(2 * len(FREQUENCIES) + 1, TIME_WIDTH), nn.SiLU())

    def forward(self, t: Tensor) -> Tensor:
        """See the class."""
        ratio = torch.logit(t.float(), eps=EARLIEST)[:, None]  # (N, 1)
        phase = ratio * torch.tensor(FREQUENCIES, device=t.device)  # (N, 5)
        return super().forward(torch.cat((ratio / 4, phase.sin(), phase.cos()), dim=1))


class ModulatedBlock(nn.Module):
    """A residual block whose features are scaled and shifted by the picture and by the time.

    (N, in, H, W) to (N, out, H/stride, W/stride). ``project`` turns a map of the gray picture,
    of the block's own size and ``seen`` channels, into its modulation: once for all steps.
    """

    def __init__(self, in_channels: int, out_channels: int, seen: int, stride: int = 1) -> None:
        super().__init__()
        self.first = nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False)
        self.norm1 = nn.GroupNorm(GROUPS, out_channels, affine=False)  # the modulation does that
        self.second = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.norm2 = nn.GroupNorm(GROUPS, out_channels)
        same = in_channels == out_channels and stride == 1
        self.shortcut = (
            nn.Identity() if same else nn.Conv2d(in_channels, out_channels, 1, stride=stride)
        )
        self.project = nn.Conv2d(seen, 2 * out_channels, 1)
        self.by_time = nn.Linear(TIME_WIDTH, 2 * out_channels)

    def forward(self, x: Tensor, time: Tensor, by_picture: Tensor) -> Tensor:
        """Features x (N, in, H, W), time (N, 64), by_picture (N, 2 out, H', W'): see the class."""
        both = by_picture + self.by_time(time)[:, :, None, None]
        scale, shift = both.chunk(2, dim=1)
        x, beside = self.norm1(self.first(x)), self.shortcut(x)
        x = F.silu(x * (1 + scale) + shift)
        return F.silu(beside + self.norm2(self.second(x)))


class Denoiser(nn.Module):
    """Noisy places (N, channels, h, w) and a time to an answer of the same shape, zero at first.

    What goes up is added to what went down, not laid beside it: at these few channels half of
    the arithmetic would be in the convolutions that merge the two.

    Args:
        channels: of a place, in and out.
        widths: channels of its maps at full, half and quarter size.
        seen: channels of the gray picture's maps at these sizes.
    """

    def __init__(
        self, channels: int, widths: tuple[int, int, int], seen: tuple[int, int, int]
    ) -> None:
        super().__init__()
        w0, w1, w2 = widths
        s0, s1, s2 = seen
        self.embed = TimeEmbedding()
        self.enter = nn.Conv2d(channels, w0, 3, padding=1)
        self.blocks = nn.ModuleDict(
            {
                "down1": ModulatedBlock(w0, w1, s1, stride=2),
                "down2": ModulatedBlock(w1, w2, s2, stride=2),
                "bottom": ModulatedBlock(w2, w2, s2),
                "up1": ModulatedBlock(w1, w1, s1),
                "up0": ModulatedBlock(w0, w0, s0),
            }
        )
        self.attend = SelfAttention(w2)
        self.narrow1 = nn.Conv2d(w2, w1, 1)
        self.narrow0 = nn.Conv2d(w1, w0, 1)
        self.leave = nn.Conv2d(w0, channels, 3, padding=1)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    def look(self, maps: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, ...]:
        """The gray picture's maps, finest first, as modulations of the blocks in turn."""
        size = {"down1": 1, "down2": 2, "bottom": 2, "up1": 1, "up0": 0}
        return tuple(block.project(maps[size[name]]) for name, block in self.blocks.items())

    def forward(self, x: Tensor, t: Tensor, modulations: tuple[Tensor, ...]) -> Tensor:
        """Places x (N, channels, h, w) of unit variance at times (N,); see :meth:`look`."""
        time = self.embed(t)
        m1, m2, mb, mu1, mu0 = modulations
        blocks = self.blocks
        x0 = self.enter(x)  # (N, w0, h, w)
        x1 = blocks["down1"](x0, time, m1)  # (N, w1, h/2, w/2)
        x2 = blocks["down2"](x1, time, m2)  # (N, w2, h/4, w/4)
        x2 = blocks["bottom"](self.attend(x2), time, mb)
        x1 = blocks["up1"](x1 + _twice(self.narrow1(x2)), time, mu1)
        x0 = blocks["up0"](x0 + _twice(self.narrow0(x1)), time, mu0)
        return self.leave(x0).float()


def _twice(x: Tensor) -> Tensor:
    """(N, C, h, w) to (N, C, 2h, 2w), bilinear as in :class:`colorlab.layers.Upsample`."""
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
