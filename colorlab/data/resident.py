"""A training set that stays on the GPU as bytes: a batch is gathered, turned and cut there.

Three bytes a pixel: 3,600 pictures of 256x256 take 0.7 GB. No step then waits for the host's
memory or for the bus. A set that is too large streams instead, see
:class:`colorlab.data.loaders.TrainingBatches`.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from colorlab.color import from_uint8
from colorlab.data.pictures import Pictures

MOST_SHARE = 0.5  # of the free memory; the rest is for weights, moments and activations
CHUNK = 2**28  # bytes that travel at a time, since a memory map may be larger than the memory

Box = tuple[int, int, int]  # side, top and left of a square, pixels


def sent(array: np.ndarray, device: torch.device) -> Tensor:
    """An array on the device; a GPU takes it from pinned memory, so that the host goes on."""
    tensor = torch.from_numpy(array)
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def fits(pictures: Pictures, device: torch.device) -> bool:
    """Whether the set may stay on ``device``: a GPU with twice the room free."""
    if device.type != "cuda":
        return False
    free, _ = torch.cuda.mem_get_info(device)
    # What torch keeps for later, for example from a trial run, is free too.
    free += torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return math.prod(pictures.rgb.shape) <= MOST_SHARE * free


class ResidentPictures:
    """A set of pictures on a device as bytes.

    Args:
        pictures: the set.
        device: where to keep it.
    """

    def __init__(self, pictures: Pictures, device: torch.device) -> None:
        shape = pictures.rgb.shape
        self.device = device
        self._eight = torch.empty(shape, dtype=torch.uint8, device=device)
        step = max(1, CHUNK // math.prod(shape[1:]))
        for start in range(0, len(pictures), step):
            part = np.array(pictures.rgb[start : start + step])  # memory maps are read-only
            self._eight[start : start + step] = torch.from_numpy(part).to(device)

    def batch(
        self, chosen: np.ndarray, mirrored: np.ndarray, boxes: list[Box] | None, size: int
    ) -> Tensor:
        """Some pictures as sRGB (N, 3, size, size) in [0, 1].

        Args:
            chosen: (N,) which pictures.
            mirrored: (N,) bool, which of them to flip left to right.
            boxes: a square of each, cut after the flip and resized, antialiased; None for whole
                pictures.
            size: side of the answer; the pictures' own where they stay whole.

        Returns:
            What the bytes on the host give; where squares are cut, within a step of 8 bits, since
            here floats are resized.
        """
        eight = self._eight.index_select(0, sent(chosen, self.device))  # (N, S, S, 3)
        turned = sent(mirrored, self.device)[:, None, None, None]
        eight = torch.where(turned, eight.flip(2), eight)
        rgb = from_uint8(eight)  # (N, 3, S, S)
        if boxes is None:
            return rgb
        cuts = [
            F.interpolate(
                one[..., top : top + side, left : left + side],
                size=(size, size),
                mode="bilinear",
                antialias=True,
            )
            for one, (side, top, left) in zip(rgb.split(1), boxes, strict=True)
        ]
        return torch.cat(cuts).clamp_(0, 1)
