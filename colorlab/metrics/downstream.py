"""A downstream check: does a classifier still predict the same class?

AlexNet was trained on colour photographs, not for colorization. If it gives a colorized image the
class that it gives the true one, the colours did not mislead it. Its weights hold the features that
LPIPS uses and the classifier; many readers have the features alone. Taught in notebook 11; the idea
is that of Zhang et al. 2016, section 3.1.
"""

from __future__ import annotations

import os
from pathlib import Path

import torch
from torch import Tensor, nn

from colorlab.metrics.pairs import check_pair
from colorlab.metrics.perceptual import BACKBONE_VARIABLE

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, as torchvision states
_SIDE = 224


class ClassifierUnavailable(RuntimeError):  # noqa: N818 - a state of the machine, not a mistake
    """AlexNet's classifier is not available; the message says where it was looked for."""


def load_classifier() -> nn.Module:
    """AlexNet with its ImageNet weights, in eval mode, from this computer: nothing is downloaded.

    Taken from the file that COLORLAB_LPIPS_BACKBONE names, if it holds ``classifier.*`` keys
    too, or from the file that torchvision keeps once it has downloaded AlexNet.

    Raises:
        ClassifierUnavailable: neither holds the classifier.
    """
    from safetensors.torch import load_file
    from torchvision.models import AlexNet_Weights, alexnet

    weights = AlexNet_Weights.IMAGENET1K_V1
    stored = Path(torch.hub.get_dir(), "checkpoints", Path(weights.url).name)
    named = Path(os.environ.get(BACKBONE_VARIABLE, ""))
    state = load_file(named) if named.is_file() else {}
    if not any(key.startswith("classifier.") for key in state):
        if not stored.is_file():
            raise ClassifierUnavailable(
                f"no AlexNet classifier: torchvision has not downloaded {stored.name}, and "
                f"{BACKBONE_VARIABLE} names no file with classifier.* keys"
            )
        state = weights.get_state_dict(progress=False, check_hash=True)
    network = alexnet()
    network.load_state_dict(state)
    return network.eval()


def same_name(network: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Whether a classifier's most likely class is the same for both images of each pair: (N,) bool.

    x and y are (N, 3, H, W) sRGB in [0, 1]; ``network`` takes (N, 3, 224, 224), standardized as
    ImageNet's, to logits (N, K).
    """
    check_pair(x, y)
    with torch.inference_mode():
        return network(_prepare(x)).argmax(dim=1) == network(_prepare(y)).argmax(dim=1)


def _prepare(rgb: Tensor) -> Tensor:
    small = nn.functional.interpolate(
        rgb, size=(_SIDE, _SIDE), mode="bilinear", antialias=True, align_corners=False
    )
    mean, std = (rgb.new_tensor(values).view(1, 3, 1, 1) for values in (_MEAN, _STD))
    return (small.clamp(0, 1) - mean) / std
