"""From 8-bit images to batches of L and *ab*: decode once, batch fast.

Images are decoded once into a memory map (see ``cache.py``); a batch is a gather of bytes, moved
to the device as bytes and converted to L and *ab* there. A training set that fits stays on the GPU
as bytes (3,600 images of 256x256 take 0.7 GB), so that no step waits for the host's memory or for
the bus. A CPU keeps L and *ab* of what it has seen (`LabCache`). Which images a step sees, and how
they are augmented, is a pure function of (seed, step): a run that was killed continues with the
same batches, with no generator state to keep.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cached_property, lru_cache
from typing import Literal, Protocol, get_args

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from colorlab.color import (
    LAB_EPSILON,
    LAB_SLOPE,
    WHITENED_FROM_RGB,
    downsample_chroma,
    from_uint8,
    rgb_to_lab,
    srgb_to_linear,
)
from colorlab.data.cache import Pictures
from colorlab.data.films import LUMINANCE, recorded

Augmentation = Literal["none", "flip", "crop", "tone", "film", "mask"]
SMALLEST_CROP = 0.5  # side of the smallest random crop, as a share of the picture's side
FILM_SHARE = 0.75  # of the images that are augmented as on film
MOST_FADED = 30.0  # L of the darkest gray of a faded print, and what its lightest lacks to 100
STRONGEST_TONE = 0.35  # of the logarithm of a tone curve's exponent: 0.70 to 1.42
MASK_GRID, HIDDEN = 8, 0.5  # cells a side, and the share of them that a mask hides
MOST_SHARE = 0.5  # of the GPU's free memory; the rest is for weights, moments and activations
CHUNK = 2**28  # bytes that travel at a time, since a memory map may be larger than the memory

Box = tuple[int, int, int]  # side, top and left of a square, pixels


class KnownMaps(Protocol):
    """A pretrained encoder's maps of a set, see :mod:`colorlab.training.encoder_maps`."""

    def batch(self, indices: np.ndarray, mirrored: np.ndarray | None = None) -> tuple[Tensor, ...]:
        """The maps of some images, flipped where ``mirrored`` (N,) says so."""


@dataclass(frozen=True)
class Batch:
    """One batch on the device.

    Attributes:
        L: (N, 1, S, S) lightness in [0, 100], the gray input.
        ab: (N, 2, S/4, S/4) in CIE units, the mean of each 4x4 block.
        make_picture: makes ``rgb`` when it is first used; a model that predicts *ab* never does.
        maps: feature maps of the pretrained encoder if known beforehand, else None.
    """

    L: Tensor
    ab: Tensor
    make_picture: Callable[[], Tensor]
    maps: tuple[Tensor, ...] | None = None

    @cached_property
    def rgb(self) -> Tensor:
        """(N, 3, S, S) sRGB in [0, 1]."""
        return self.make_picture()


def _sent(array: np.ndarray, device: torch.device) -> Tensor:
    """An array on the device; a GPU takes it from pinned memory, so that the host goes on."""
    tensor = torch.from_numpy(array)
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def _make_rgb(pictures: np.ndarray, device: torch.device) -> Tensor:
    """8-bit (N, S, S, 3) to sRGB (N, 3, S, S); bytes travel, a quarter of the floats' size."""
    return from_uint8(_sent(np.array(pictures), device))  # a copy: memory maps are read-only


def make_batch(pictures: np.ndarray, device: torch.device | str = "cpu") -> Batch:
    """Turn 8-bit images (N, S, S, 3) into a :class:`Batch` on ``device``."""
    return batch_from_rgb(_make_rgb(pictures, torch.device(device)))


def batch_from_rgb(rgb: Tensor) -> Batch:
    """The batch of sRGB images (N, 3, S, S) in [0, 1]; S is a multiple of 4."""
    lab = rgb_to_lab(rgb)
    return Batch(lab[:, :1], downsample_chroma(lab[:, 1:]), lambda: rgb)


def batches_in_order(
    pictures: Pictures,
    batch_size: int = 32,
    device: torch.device | str = "cpu",
    maps: KnownMaps | None = None,
) -> Iterator[Batch]:
    """All images once, in order, not augmented: for validation and evaluation."""
    for start in range(0, len(pictures), batch_size):
        batch = make_batch(pictures.rgb[start : start + batch_size], device)
        known = maps.batch(np.arange(start, start + len(batch.L))) if maps else None
        yield replace(batch, maps=known)


def indices_at(step: int, count: int, batch_size: int, seed: int) -> np.ndarray:
    """Which of ``count`` images step ``step`` sees: (batch_size,) int64.

    Epochs are permutations laid end to end, and a batch may span two of them, so every
    image is seen equally often whatever the batch size.
    """
    positions = np.arange(step * batch_size, (step + 1) * batch_size)
    epochs = positions // count
    chosen = np.empty(batch_size, dtype=np.int64)
    for epoch in np.unique(epochs):
        here = epochs == epoch
        chosen[here] = _order(seed, int(epoch), count)[positions[here] % count]
    return chosen


@lru_cache(maxsize=2)  # a batch may span two epochs; to shuffle ten million outlasts a step
def _order(seed: int, epoch: int, count: int) -> np.ndarray:
    order = np.random.default_rng((seed, epoch)).permutation(count)
    order.setflags(write=False)
    return order


def _repeated(names: Sequence[str], repeat: str) -> np.ndarray:
    """Indices of the images of an epoch: all once, those of ``"GLOB=TIMES"`` so many times."""
    everything = np.arange(len(names))
    if not repeat:
        return everything
    glob, _, times = repeat.rpartition("=")
    if not glob or not times.isdecimal() or int(times) < 1:
        raise ValueError(f"repeat {repeat!r} is not GLOB=TIMES, such as 'photos/*=3'")
    matching = np.array([i for i, name in enumerate(names) if fnmatchcase(name, glob)], dtype=int)
    if not len(matching):
        raise ValueError(f"repeat {repeat!r}: no picture has such a name; one is {names[0]!a}")
    return np.concatenate([everything, *[matching] * (int(times) - 1)])


def _fits(pictures: Pictures, device: torch.device) -> bool:
    """Whether the set may stay on ``device``: a GPU with twice the room free."""
    if device.type != "cuda":
        return False
    free, _ = torch.cuda.mem_get_info(device)
    # What torch keeps for later, for example from a trial run, is free too.
    free += torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return math.prod(pictures.rgb.shape) <= MOST_SHARE * free


class _ResidentPictures:
    """A set of images on a device as bytes: a batch is gathered, flipped and cropped there."""

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
        """Images ``chosen`` (N,), flipped where ``mirrored`` (N,), as sRGB (N, 3, S, S) in [0, 1].

        With ``boxes``, a square of each, cropped after the flip and resized to ``size``. The same
        as from bytes on the host; crops within a step of 8 bits, since here floats are resized.
        """
        eight = self._eight.index_select(0, _sent(chosen, self.device))  # (N, S, S, 3)
        turned = _sent(mirrored, self.device)[:, None, None, None]
        rgb = from_uint8(torch.where(turned, eight.flip(2), eight))  # (N, 3, S, S)
        return rgb if boxes is None else _cut(rgb, boxes, size).clamp_(0, 1)


# ---- on a CPU: L and ab as fast as the arithmetic allows, and kept from the first epoch on

STRIDE = 4  # ab is kept at a quarter of the size

_WHITENED = WHITENED_FROM_RGB.float()
_LINEAR = srgb_to_linear(torch.arange(256, dtype=torch.float64) / 255).float().numpy()

# 16-bit steps: 1/320 of L covers 0..102, 1/256 of ab covers -128..128. Errors are half a step,
# a hundredth of what one step of 8-bit sRGB makes.
_L_STEPS, _AB_STEPS = 320.0, 256.0


@torch.no_grad()
def quick_lab(eight: np.ndarray) -> tuple[Tensor, Tensor]:
    """L and coarse *ab* of 8-bit images.

    Args:
        eight: (N, H, W, 3) uint8 sRGB; H and W are multiples of 4.

    Returns:
        L (N, 1, H, W) in [0, 100] and ab (N, 2, H/4, W/4) in CIE units, the area mean, float32;
        both within 1e-3 of `rgb_to_lab` and `downsample_chroma`.

    Raises:
        ValueError: not uint8 of that shape.
    """
    if eight.ndim != 4 or eight.shape[-1] != 3 or eight.dtype != np.uint8:
        raise ValueError(f"want uint8 (N, H, W, 3), got {eight.dtype} {eight.shape}")
    count, height, width, _ = eight.shape
    if height % STRIDE or width % STRIDE:
        raise ValueError(f"height and width must be multiples of {STRIDE}, got {height}x{width}")
    L = torch.empty(count, 1, height, width)
    ab = torch.empty(count, 2, height // STRIDE, width // STRIDE)
    linear = np.empty((height * width, 3), dtype=np.float32)
    f, low = torch.empty(2, 3, height * width)
    for i in range(count):
        # mode="clip" skips the check of bounds; 8 bits cannot leave the lookup table.
        np.take(_LINEAR, eight[i].reshape(-1, 3), out=linear, mode="clip")
        torch.mm(_WHITENED, torch.from_numpy(linear).t(), out=f)  # (3, H*W)
        # The curve is a line that becomes a cube root: line(min) + root(max) - root(epsilon).
        torch.clamp_max(f, LAB_EPSILON, out=low)
        f.clamp_min_(LAB_EPSILON).log_().mul_(1 / 3).exp_()
        f.add_(low, alpha=LAB_SLOPE).add_(16 / 116 - LAB_EPSILON ** (1 / 3))
        torch.mul(f[1].view(height, width), 116, out=L[i, 0]).sub_(16)
        # a and b are linear in f, so averaging first spares a full-size a and b.
        x, y, z = F.avg_pool2d(f.view(3, height, width), STRIDE)
        ab[i, 0] = 500 * (x - y)
        ab[i, 1] = 200 * (y - z)
    return L, ab


class LabCache:
    """L and *ab* of a set of images, computed when first used and kept in memory.

    Takes 2.25 bytes a pixel: 530 MB for 3,600 images of 256x256, once all were seen.

    Attributes:
        pictures: the set.
    """

    def __init__(self, pictures: Pictures) -> None:
        size, coarse = pictures.size, pictures.size // STRIDE
        self.pictures = pictures
        # np.empty takes memory page by page, as it is written.
        self._lightness = np.empty((len(pictures), 1, size, size), dtype=np.int16)
        self._chroma = np.empty((len(pictures), 2, coarse, coarse), dtype=np.int16)
        self._known = np.zeros(len(pictures), dtype=bool)

    def batch(
        self, indices: np.ndarray, mirrored: np.ndarray | None = None
    ) -> tuple[Tensor, Tensor]:
        """L (N, 1, S, S) and ab (N, 2, S/4, S/4) of some images, float32.

        Args:
            indices: (N,) which images.
            mirrored: (N,) bool, which of them to flip left to right.

        Returns:
            L within 0.002 and ab within 0.003 of `quick_lab`.
        """
        for i in np.unique(indices[~self._known[indices]]):
            L, ab = quick_lab(self.pictures.rgb[i : i + 1])
            self._lightness[i] = L[0].mul_(_L_STEPS).round_().numpy()
            self._chroma[i] = ab[0].mul_(_AB_STEPS).round_().numpy()
            self._known[i] = True
        # NumPy, in one thread: the work is copying, and waiting for threads would cost more.
        L, ab = self._lightness[indices], self._chroma[indices]
        if mirrored is not None:
            L[mirrored], ab[mirrored] = L[mirrored, ..., ::-1], ab[mirrored, ..., ::-1]
        return (
            torch.from_numpy(np.multiply(L, 1 / _L_STEPS, dtype=np.float32)),
            torch.from_numpy(np.multiply(ab, 1 / _AB_STEPS, dtype=np.float32)),
        )


# ---- the batches of a run


class TrainingBatches:
    """The training batches of a run; the one of a step is a pure function of (seed, step).

    Args:
        pictures: the training set.
        batch_size: images in a batch.
        seed: of the run.
        augment: ``"none"``; ``"flip"``, mirrored with probability a half; ``"crop"``, also a
            random square of 50 to 100 % of the side, resized to ``crop_size``; ``"tone"``, also a
            random tone curve on L, as of another exposure; ``"film"``, that curve on a gray of
            random film in place of L, see :func:`_filmed`; ``"mask"``, crops in which half of
            8x8 cells are hidden (L = 50), a pretext task that needs recognition (Pathak et al.
            2016, "Context encoders"). The target is never changed: a jittered one teaches wrong
            colours.
        device: where the batches are made. On a CPU, L and *ab* of uncropped images are computed
            once and kept in memory (:class:`LabCache`). A GPU keeps the bytes of a set that fits.
        crop_size: side of the crops, a multiple of 32; 0 for the images' own. Half the side
            costs a quarter of the time a step.
        share: which images of each batch to make; all unless told. The others of the batch are
            those of other processes (:func:`colorlab.parallel.share`).
        maps: of the pretrained encoder for this set; without them the model computes its own.
        repeat: ``"GLOB=TIMES"``, see :class:`colorlab.training.TrainConfig`.

    Raises:
        ValueError: unknown ``augment``, or an empty set.
    """

    def __init__(
        self,
        pictures: Pictures,
        batch_size: int = 32,
        seed: int = 0,
        augment: Augmentation = "flip",
        device: torch.device | str = "cpu",
        crop_size: int = 0,
        share: slice = slice(None),
        maps: KnownMaps | None = None,
        repeat: str = "",
    ) -> None:
        if augment not in get_args(Augmentation):
            choice = ", ".join(map(repr, get_args(Augmentation)))
            raise ValueError(f"augment must be one of {choice}, got {augment!r}")
        if not len(pictures):
            raise ValueError("the training set is empty; check the folder or the split's name")
        self.pictures = pictures
        self.batch_size = batch_size
        self.seed = seed
        self.augment = augment
        self.device = torch.device(device)
        self.crop_size = crop_size or pictures.size
        self.share = share
        self.cuts = augment in ("crop", "tone", "film", "mask")
        if maps and self.cuts:
            raise ValueError(
                f"a crop has other maps than its picture; not with augment={augment!r}"
            )
        self.maps = maps
        self.order = _repeated(pictures.names, repeat)
        cached = self.device.type == "cpu" and not self.cuts
        self.cache = LabCache(pictures) if cached else None
        fits = _fits(pictures, self.device)
        self.resident = _ResidentPictures(pictures, self.device) if fits else None

    def at(self, step: int) -> Batch:
        """The batch of ``step``, counted from 0."""
        chosen = self.order[indices_at(step, len(self.order), self.batch_size, self.seed)]
        random = np.random.default_rng((self.seed, step, 1))
        mirrored = random.random(self.batch_size) < (0.0 if self.augment == "none" else 0.5)
        boxes = _random_boxes(random, self.batch_size, self.pictures.size)
        tones = random.uniform(-STRONGEST_TONE, STRONGEST_TONE, self.batch_size)
        hidden = random.random((self.batch_size, 1, MASK_GRID, MASK_GRID)) < HIDDEN
        chosen, mirrored, boxes = chosen[self.share], mirrored[self.share], boxes[self.share]

        def make_picture() -> Tensor:
            if self.resident:
                cut = boxes if self.cuts else None
                return self.resident.batch(chosen, mirrored, cut, self.crop_size)
            eight = self.pictures.rgb[chosen]  # (N, S, S, 3)
            eight[mirrored] = eight[mirrored, :, ::-1]
            if self.cuts:
                # On bytes, which torch resizes in half the time that floats take.
                whole = torch.from_numpy(eight).permute(0, 3, 1, 2)
                eight = _cut(whole, boxes, self.crop_size).permute(0, 2, 3, 1).numpy()
            return _make_rgb(eight, self.device)

        maps = self.maps.batch(chosen, mirrored) if self.maps else None
        if self.cache:
            return Batch(*self.cache.batch(chosen, mirrored), make_picture, maps)
        batch = replace(batch_from_rgb(make_picture()), maps=maps)
        if self.augment == "tone":
            return replace(batch, L=_toned(batch.L, np.exp(tones[self.share])))
        if self.augment == "film":
            random = np.random.default_rng((self.seed, step, 2))
            L = _filmed(batch.rgb, random, self.share, self.batch_size)
            return replace(batch, L=_toned(L, np.exp(tones[self.share])))
        if self.augment == "mask":
            return replace(batch, L=_masked(batch.L, hidden[self.share]))
        return batch


def _toned(L: Tensor, exponents: np.ndarray) -> Tensor:
    """L (N, 1, H, W) in [0, 100] under a tone curve for each image; black and white are fixed."""
    exponents = torch.as_tensor(exponents, dtype=L.dtype, device=L.device).view(-1, 1, 1, 1)
    return 100 * (L / 100).clamp(0, 1) ** exponents


def _filmed(rgb: Tensor, random: np.random.Generator, share: slice, count: int) -> Tensor:
    """L (N, 1, H, W) of sRGB images (N, 3, H, W), each on a film and a print of its own.

    One of four images keeps L. The others are recorded with random weights of red, green and blue,
    between those of L and those of film that sees green and blue, green, or blue alone; then black
    rises to at most ``MOST_FADED`` and white falls by at most that. ``rgb`` are ``share`` of the
    ``count`` images of the batch.
    """
    blind = np.array([(0, *LUMINANCE[1:]), (0, 1, 0), (0, 0, 1)])[random.integers(3, size=count)]
    blind /= blind.sum(axis=1, keepdims=True)
    old = random.random(count) < FILM_SHARE
    mix = (old * random.random(count))[:, None]
    weights = (1 - mix) * LUMINANCE + mix * blind  # (count, 3)
    low, high = old * random.uniform(0, MOST_FADED, (2, count))
    return torch.cat(
        [
            low[i] + (100 - high[i] - low[i]) / 100 * recorded(one, weights[i])
            for i, one in zip(range(count)[share], rgb.split(1), strict=True)
        ]
    )


def _masked(L: Tensor, hidden: np.ndarray) -> Tensor:
    """L (N, 1, H, W), middle gray in the cells where ``hidden`` (N, 1, h, w) is true."""
    cells = torch.as_tensor(hidden, device=L.device).to(L.dtype)
    return torch.where(F.interpolate(cells, L.shape[-2:], mode="nearest") > 0, 50.0, L)


def _random_boxes(random: np.random.Generator, count: int, whole: int) -> list[Box]:
    """Side, top and left of a random square of each of ``count`` images, pixels."""
    boxes = []
    for _ in range(count):
        side = round(whole * random.uniform(SMALLEST_CROP, 1.0))
        boxes.append((side, *random.integers(0, whole - side + 1, 2)))
    return boxes


def _cut(pictures: Tensor, boxes: list[Box], size: int) -> Tensor:
    """A square of each image (N, 3, S, S), resized, antialiased: (N, 3, size, size)."""
    cuts = []
    for picture, (side, top, left) in zip(pictures.split(1), boxes, strict=True):
        cut = picture[..., top : top + side, left : left + side]
        cuts.append(F.interpolate(cut, size=(size, size), mode="bilinear", antialias=True))
    return torch.cat(cuts)
