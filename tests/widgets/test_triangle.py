"""The triangle of probabilities: its state, its still, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from tiny import decode

from colorlab.plots import new_figure
from colorlab.widgets import Triangle

AB = np.array([[50.0, 30.0], [4.0, -42.0], [-40.0, 32.0]])
NAMES, PROB = ("red", "blue", "green"), np.array([0.3, 0.5, 0.2])


def make(names=NAMES, ab=AB, prob=PROB, alt="a triangle"):
    return Triangle(names, ab, prob, still=new_figure(2, 1)[0], alt=alt)


def test_it_holds_plain_numbers_and_a_still():
    triangle = make()
    assert triangle.weights == [0.3, 0.5, 0.2] and triangle.ab == AB.tolist()
    data, metadata = triangle._repr_mimebundle_()
    (kind,) = metadata
    assert decode(data[kind]).shape == (85, 170, 3)
    assert metadata[kind]["alt"] == "a triangle"
    assert data["text/plain"] == "Triangle(red, blue, green)"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ab": AB[:2]}, "ab \\(3, 2\\)"),
        ({"prob": PROB[:2]}, "prob \\(3,\\)"),
        ({"alt": " "}, "alt text"),
    ],
)
def test_what_does_not_fit_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        make(**options)
