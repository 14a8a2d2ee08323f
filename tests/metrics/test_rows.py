"""The grammar of row names, and *ab* boosted; rows of samples are tried in test_diversity."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from colorlab.color import from_uint8, join, lightness
from colorlab.data import Pictures
from colorlab.metrics import Boosted, MeanOf, colorfulness, matching_factor
from colorlab.metrics.rows import RowName, parse, sees_truth
from colorlab.models import build


@pytest.mark.parametrize(
    ("name", "parts", "sees"),
    [
        ("gray", ("gray",), False),
        ("unet-rgb", ("unet-rgb",), False),
        ("unet:sample", ("unet", "sample", 1), False),
        ("unet:mean8", ("unet", "mean", 8), False),
        ("unet_vae-rgb:best12", ("unet_vae-rgb", "best", 12), True),
        ("a/b.safetensors:best3", ("a/b.safetensors", "best", 3), True),
        ("unet:boost1.6", ("unet", "boost", 1.6), False),
        ("unet:boost", ("unet", "boost", None), False),
        ("levin200", ("levin", "hints", 200), True),
        ("guided10", ("guided", "hints", 10), True),
        ("oracle64", ("oracle64",), True),
        *((name, (name,), True) for name in ("world", "truth")),
        # Not in the grammar: a model's name, which nobody knows.
        *((name, (name,), False) for name in ("unet:best", "unet:best0", "unet:mean8.5")),
        *((name, (name,), False) for name in ("unet:sample8", "unet:boostx", "levin0", "levin")),
    ],
)
def test_a_name_is_read_into_its_parts(name, parts, sees):
    assert parse(name) == RowName(*parts)
    assert sees_truth(name) == sees


@pytest.fixture
def model():
    torch.manual_seed(0)
    made = build("unet", size=64).eval()
    torch.nn.init.normal_(made.head.project.weight, std=0.2)
    return made


@pytest.fixture
def pictures():
    random = np.random.default_rng(0)
    rgb = random.integers(60, 200, (6, 8, 8, 3), dtype=np.uint8).repeat(8, 1).repeat(8, 2)
    return Pictures(rgb, tuple("abcdef"), "0" * 64, "test")


def test_ab_is_multiplied_and_lightness_stays(model, pictures):
    L = lightness(from_uint8(pictures.rgb))
    ab = model.answers(L, 1)[0]
    assert torch.equal(Boosted(model, 1.7).colorize(L), join(L, 1.7 * ab))
    assert torch.equal(Boosted(model, 1.0).colorize(L), model.colorize(L))
    assert (colorfulness(Boosted(model, 0.0).colorize(L)) < 0.5).all(), "0 is gray"


def test_the_matching_factor_gives_the_wanted_colourfulness(model, pictures):
    L = lightness(from_uint8(pictures.rgb))
    for wanted in (5.0, 12.0):
        factor = matching_factor(model, pictures, wanted)
        got = colorfulness(Boosted(model, factor).colorize(L)).mean().item()
        assert got == pytest.approx(wanted, rel=0.02)


def test_what_cannot_be_turned_up_is_refused(model, pictures):
    with pytest.raises(ValueError, match="times 8 does not reach a colourfulness of 1000"):
        matching_factor(model, pictures, 1000.0)
    with pytest.raises(ValueError, match="must not be negative, got -1"):
        Boosted(model, -1)
    with pytest.raises(ValueError, match="predicts rgb"):
        Boosted(build("unet", target="rgb"), 1.5)
    with pytest.raises(ValueError, match="n=0"):
        MeanOf(model, 0)
