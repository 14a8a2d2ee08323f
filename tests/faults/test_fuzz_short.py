"""A few thousand damaged files, the same each time, through what the long fuzzing runs call."""

from __future__ import annotations

import pytest
from fuzz import corpus, targets

PICTURES = corpus.pictures()
CHECKPOINTS = corpus.checkpoints()
BLOCK = 500


@pytest.mark.parametrize("kind", PICTURES)
def test_pictures_to_start_from_are_good(kind):
    assert targets.picture(PICTURES[kind])


@pytest.mark.parametrize("kind", ["mean", "lut", "welsh", "resnet"])
def test_checkpoints_to_start_from_are_good(kind):
    assert targets.checkpoint(CHECKPOINTS[kind])


@pytest.mark.filterwarnings("ignore")  # PIL warns of what it finds odd
@pytest.mark.parametrize("block", range(6))
def test_mutated_pictures(block, fault):
    valid = list(PICTURES.values())
    read = 0
    for seed in range(block * BLOCK, (block + 1) * BLOCK):
        with fault("pictures", "a mutated file"):
            read += targets.picture(corpus.mutated(seed, valid))
    # Neither all nor none: the mutations reach beyond the headers, and they do damage.
    assert 0.05 * BLOCK < read < 0.5 * BLOCK


@pytest.mark.parametrize("block", range(4))
def test_mutated_checkpoints(block, fault):
    valid = list(CHECKPOINTS.values())
    for seed in range(block * BLOCK, (block + 1) * BLOCK):
        with fault("checkpoints", "mutated bytes"):
            targets.checkpoint(corpus.mutated(seed, valid))
