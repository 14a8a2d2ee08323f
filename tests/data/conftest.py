"""What the tests of data share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def small_photos(tmp_path) -> Path:
    """Eight small colour pictures for training."""
    folder = tmp_path / "pictures" / "train"
    folder.mkdir(parents=True)
    for i in range(8):
        coarse = np.random.default_rng(i).integers(0, 256, (4, 4, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((32, 32)).save(folder / f"{i}.png")
    return folder.parent
