"""Two thousand damaged files, the same each time, through what the long fuzzing runs call."""

import pytest
from fuzz import corpus, targets

PICTURES = corpus.pictures()
CHECKPOINTS = corpus.checkpoints()


@pytest.mark.filterwarnings("ignore")  # PIL warns of what it finds odd
def test_pictures():
    for kind, content in PICTURES.items():
        assert targets.picture(content), kind
    valid = list(PICTURES.values())
    read = sum(targets.picture(corpus.mutated(seed, valid)) for seed in range(1500))
    # Neither all nor none: the mutations reach beyond the headers, and they do damage.
    assert 75 < read < 750


def test_checkpoints():
    for kind in ("mean", "lut", "welsh", "resnet"):
        assert targets.checkpoint(CHECKPOINTS[kind]), kind
    valid = list(CHECKPOINTS.values())
    for seed in range(1000):
        targets.checkpoint(corpus.mutated(seed, valid))
