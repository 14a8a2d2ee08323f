"""Losses of a few steps of several models, alone or as one of several processes.

Run by test_parallel.py: ``torchrun parallel_losses.py FILE MODEL ...`` writes them to FILE.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch

from colorlab import parallel
from colorlab.data.cache import Pictures
from colorlab.models import build
from colorlab.training import TrainConfig, Trainer

CONFIG = TrainConfig(steps=10, batch_size=8, augment="crop", precision="float32", device="cpu")


def losses(name: str, steps: int = 3) -> list[dict[str, float]]:
    """The loss terms of the first steps on 16 pictures."""
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (16, 4, 4, 3), dtype=np.uint8)
    rgb = coarse.repeat(16, axis=1).repeat(16, axis=2)
    pictures = Pictures(rgb, tuple(map(str, range(16))), "0" * 64, "test:sixteen")
    torch.manual_seed(0)
    trainer = Trainer(build(name, size=64), pictures, CONFIG)
    terms = [trainer.advance("float32") for _ in range(steps)]
    return [{k: v.item() for k, v in row.items()} for row in terms]


def main(file: str, *names: str) -> None:
    torch.set_num_threads(1)
    with parallel.team():
        found = {name: losses(name) for name in names}
        if parallel.rank() == 0:
            Path(file).write_text(json.dumps(found), "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
