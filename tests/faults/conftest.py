"""What the tests of faults share."""

from __future__ import annotations

from pathlib import Path

import fault_table
import numpy as np
import pytest
import torch
from PIL import Image

from colorlab import checkpoints
from colorlab.models import build


@pytest.fixture(scope="session")
def fault(pytestconfig: pytest.Config):
    """``with fault(group, what): ...`` counts one fault, survived if the body ends well."""
    return pytestconfig.pluginmanager.get_plugin(fault_table.NAME).fault


@pytest.fixture(scope="module")
def tiny_photos(tmp_path_factory) -> Path:
    """Twelve small colour pictures in splits."""
    root = tmp_path_factory.mktemp("pictures")
    values = np.random.default_rng(0)
    for split, count in (("train", 8), ("val", 4)):
        (root / split).mkdir()
        for i in range(count):
            coarse = values.integers(0, 256, (4, 4, 3), dtype=np.uint8)
            Image.fromarray(coarse).resize((32, 32)).save(root / split / f"{i}.png")
    return root


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> tuple[bytes, bytes]:
    """A small checkpoint: the bytes of its weights and of its card."""
    torch.manual_seed(0)
    model = build("unet", size=64, widths=(8, 8, 8, 8))
    file = checkpoints.save(model, "scenes", {"seed": 0}, tmp_path_factory.mktemp("weights"))
    return file.read_bytes(), file.with_suffix(".json").read_bytes()


@pytest.fixture
def place(tmp_path):
    """Write weights and card, and give the path of the weights."""

    def put(weights: bytes, card: bytes):
        file = tmp_path / "unet-ab-scenes.safetensors"
        file.write_bytes(weights)
        file.with_suffix(".json").write_bytes(card)
        return file

    return put
