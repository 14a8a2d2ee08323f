"""The before/after slider, driven through its traits."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

from colorlab.color import to_uint8
from colorlab.widgets import BeforeAfter

GRAY = torch.linspace(0.3, 0.7, 48).expand(1, 3, 32, 48).contiguous()


def decode(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def test_before_and_after_are_sent_as_they_are():
    after = np.random.default_rng(0).integers(0, 256, (32, 48, 3), dtype=np.uint8)
    slider = BeforeAfter(GRAY[0], after, names=("gray", "truth"), alt="a ramp")
    assert (decode(slider.after) == after).all()
    assert (decode(slider.before) == to_uint8(GRAY)[0]).all()
    data, metadata = slider._repr_mimebundle_()
    assert decode(data["image/jpeg"]).shape == (32, 96, 3)
    assert metadata["image/jpeg"]["alt"] == "Left, gray; right, truth. a ramp"


@pytest.mark.parametrize(
    ("after", "options", "error", "message"),
    [
        (torch.zeros(3, 32, 47), {}, ValueError, "of one size"),
        (torch.zeros(1, 32, 48), {}, ValueError, "one picture"),
        (torch.full((3, 32, 48), 2.0), {}, ValueError, "from 2 to 2"),
        (torch.full((3, 32, 48), float("nan")), {}, ValueError, "in \\[0, 1\\]"),
        (np.zeros((32, 48, 3)), {}, TypeError, "uint8"),
        (torch.zeros(3, 32, 48), {"alt": " "}, ValueError, "alt text"),
        (torch.zeros(3, 32, 48), {"names": ("one",)}, ValueError, "two names"),
    ],
)
def test_pictures_that_do_not_fit_are_refused(after, options, error, message):
    with pytest.raises(error, match=message):
        BeforeAfter(GRAY, after, **{"alt": "x", **options})
