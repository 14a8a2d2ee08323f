"""What the tests of `colorlab colorize` share."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny import tinted

from colorlab import checkpoints


@pytest.fixture(scope="session")
def weights(tmp_path_factory) -> str:
    return str(checkpoints.save(tinted(), "photos", {}, tmp_path_factory.mktemp("weights")))


@pytest.fixture
def place(tmp_path) -> Path:
    """A folder for pictures, with room for answers beside it."""
    (tmp_path / "in").mkdir()
    return tmp_path / "in"
