"""Pictures a second that reach the model as L and ab, from the second epoch on.

Ours are the batches of a training run: L and ab gathered from the cache, half of them flipped,
and the picture itself. The other is what tutorials do: a
`Dataset` whose `__getitem__` opens the file and calls `skimage.color.rgb2lab`, behind a
`DataLoader`. Both run on the same JPEG photographs in one process, in turn, and the better of the
`DataLoader` without and with two workers counts.
"""

import numpy as np
import torch
from measure import in_turns
from PIL import Image
from skimage.color import rgb2lab
from torch.utils.data import DataLoader, Dataset

from colorlab.data import photos
from colorlab.data.loaders import TrainingBatches

BATCH = 32
STEPS = 40
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


def test_twenty_times_the_tutorial_loader(benchmark, photos_dir):
    pictures = photos.load_folder(photos_dir, "test")
    data = TutorialDataset([photos_dir / "test" / name for name in pictures.names])
    loaders = [
        DataLoader(data, BATCH, shuffle=True, num_workers=workers, persistent_workers=workers > 0)
        for workers in (0, 2)
    ]
    batches = TrainingBatches(pictures, BATCH)

    def ours() -> None:
        for step in range(STEPS):
            batches.at(step)

    epochs = [lambda loader=loader: sum(len(L) for L, _ in loader) for loader in loaders]
    our_seconds, *their_seconds = in_turns(ours, *epochs, rounds=3)
    benchmark.pedantic(ours, rounds=1)
    our_rate, their_rate = STEPS * BATCH / our_seconds, len(data) / min(their_seconds)
    ratio = our_rate / their_rate
    benchmark.extra_info["ours_pictures_a_second"] = round(our_rate)
    benchmark.extra_info["dataloader_pictures_a_second"] = round(their_rate)
    benchmark.extra_info["ratio"] = round(ratio, 1)
    assert ratio >= TARGET, f"{ratio:.1f} times as fast, want {TARGET}"
