"""The yardstick: the U-Net of pix2pix at 256x256, as tutorials on colorization train it."""

import torch
from torch import Tensor, nn

WIDTHS = (64, 128, 256, 512, 512, 512, 512, 512)


class Pix2PixUNet(nn.Module):
    """L / 50 - 1 (N, 1, 256, 256) to ab / 110 (N, 2, 256, 256), 54.4 M parameters.

    Source: Isola et al. 2017, "Image-to-image translation with conditional adversarial networks",
    appendix 6.1: eight halvings down to 1x1 and back, 4x4 kernels, a skip at each size, dropout in
    the three coarsest layers on the way up. There is no normalization at 1x1, where it would leave
    nothing of a single picture.
    """

    def __init__(self) -> None:
        super().__init__()
        last = len(WIDTHS) - 1
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        for i, (narrow, wide) in enumerate(zip((1, *WIDTHS), WIDTHS, strict=False)):
            bare = i in (0, last)
            self.down.append(
                nn.Sequential(
                    nn.LeakyReLU(0.2) if i else nn.Identity(),
                    nn.Conv2d(narrow, wide, 4, stride=2, padding=1, bias=bare),
                    nn.Identity() if bare else nn.BatchNorm2d(wide),
                )
            )
            below = wide if i == last else 2 * wide  # what comes up, and the skip
            self.up.append(
                nn.Sequential(
                    nn.ReLU(),
                    nn.ConvTranspose2d(
                        below, narrow if i else 2, 4, stride=2, padding=1, bias=not i
                    ),
                    nn.BatchNorm2d(narrow) if i else nn.Tanh(),
                    nn.Dropout(0.5) if i > last - 3 else nn.Identity(),
                )
            )

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        seen = []
        for down in self.down:
            x = down(x)
            seen.append(x)
        x = seen.pop()
        for up in reversed(self.up[1:]):
            x = torch.cat((up(x), seen.pop()), dim=1)
        return self.up[0](x)
