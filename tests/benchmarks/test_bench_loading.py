"""Pictures a second that reach the model as L and ab, from the second epoch on.

Ours are the batches of a training run: L and ab gathered from the cache, half of them flipped,
and the picture itself. The other is what tutorials do: a
`Dataset` whose `__getitem__` opens the file and calls `skimage.color.rgb2lab`, behind a
`DataLoader`. Both run on the same JPEG photographs in one process, in turn, and the better of the
`DataLoader` without and with two workers counts.
"""

from __future__ import annotations

import statistics
import time

import numpy as np
import torch
from PIL import Image
from skimage.color import rgb2lab
from torch.utils.data import DataLoader, Dataset

from colorlab.data import photos
from colorlab.data.loaders import TrainingBatches

BATCH = 32
ROUNDS = 3
TARGET = 20


class TutorialDataset(Dataset):
    """Open, convert, split: each time, each picture."""

    def __init__(self, files):
        self.files = files

    def __len__(self):
        return len(self.files)

    def __getitem__(self, index):
        with Image.open(self.files[index]) as image:
            lab = rgb2lab(np.asarray(image.convert("RGB"))).astype(np.float32)
        return torch.from_numpy(lab[..., :1]), torch.from_numpy(lab[..., 1:])


def rate_of_dataloader(files, workers):
    loader = DataLoader(
        TutorialDataset(files),
        BATCH,
        shuffle=True,
        num_workers=workers,
        persistent_workers=workers > 0,
    )
    next(iter(loader))  # the workers start here, outside the measured time
    start = time.perf_counter()
    count = sum(len(L) for L, _ in loader)
    return count / (time.perf_counter() - start)


def rate_of_ours(batches, steps):
    start = time.perf_counter()
    for step in range(steps):
        batches.at(step)
    return steps * BATCH / (time.perf_counter() - start)


def test_twenty_times_the_tutorial_loader(benchmark, photos_dir):
    pictures = photos.load_folder(photos_dir, "test")
    files = [photos_dir / "test" / name for name in pictures.names]
    batches = TrainingBatches(pictures, BATCH)
    rate_of_ours(batches, 2)  # the first epoch
    theirs, ours = [], []
    for _ in range(ROUNDS):
        theirs.append(max(rate_of_dataloader(files, workers) for workers in (0, 2)))
        ours.append(rate_of_ours(batches, 40))
    benchmark.pedantic(rate_of_ours, (batches, 40), rounds=1)
    ratio = statistics.median(ours) / statistics.median(theirs)
    benchmark.extra_info["ours_pictures_a_second"] = round(statistics.median(ours))
    benchmark.extra_info["dataloader_pictures_a_second"] = round(statistics.median(theirs))
    benchmark.extra_info["ratio"] = round(ratio, 1)
    assert ratio >= TARGET, f"{ratio:.1f} times as fast, want {TARGET}"
