"""Figures of the evaluations: positions, numbers, and labels beside every colour."""

import numpy as np
import pytest

from colorlab import plots
from colorlab.data.scenes import PALETTES
from colorlab.figures import agreement, distortion_diversity, palette_bars, rank_grid
from colorlab.metrics import Evaluation


def _cell(mean: float, half: float) -> dict[str, float]:
    return {"mean": mean, "low": mean - half, "high": mean + half}


def _frequencies(kind: str, frequency: list[float]) -> dict:
    palette = PALETTES[kind]
    return {
        "kind": kind,
        "names": palette.names,
        "prob": palette.prob,
        "things": 9,
        "frequency": np.array(frequency),
    }


def _texts(ax) -> list[str]:
    return [text.get_text() for text in ax.texts]


def test_a_sampler_stands_right_of_a_regressor_with_two_markers():
    spreads = {"unet": (0.0, 15.0, 15.0), "unet_vae": (12.0, 19.0, 15.5)}
    rows = [
        {
            "model": name,
            "de76_one": _cell(one, 1),
            "de76_mean": _cell(mean, 1),
            "pairwise_ab": _cell(spread, spread / 10),
        }
        for name, (spread, one, mean) in spreads.items()
    ]
    figure = distortion_diversity(Evaluation(rows, {}, ("a",), {"draws": 5}))
    (ax,) = figure.axes
    points = {
        (float(c.lines[0].get_xdata()[0]), float(c.lines[0].get_ydata()[0])) for c in ax.containers
    }
    assert points == {(0.0, 15.0), (12.0, 19.0), (12.0, 15.5)}
    assert _texts(ax) == ["unet", "unet_vae"]
    assert "mean of 5 samples" in [text.get_text() for text in ax.get_legend().get_texts()]
    assert plots.png(figure)


def test_bars_are_the_shares_and_say_their_colours_in_words():
    models = {
        "unet": [_frequencies("balloon", [0, 0, 0]), _frequencies("parasol", [0, 0])],
        "unet_vae": [_frequencies("balloon", [0.25, 0.5, 0.15])],
    }
    figure = palette_bars(models, ["balloon"])
    (ax,) = figure.axes
    widths = [[bar.get_width() for bar in container] for container in ax.containers]
    flat = np.concatenate(widths)
    np.testing.assert_allclose(flat, [0.3, 0.5, 0.2, 0, 0, 0, 1, 0.25, 0.5, 0.15, 0.1])
    starts = [container[0].get_x() for container in ax.containers]
    np.testing.assert_allclose(starts, [0, 0.3, 0.8, 0, 0, 0, 0, 0, 0.25, 0.75, 0.9])
    assert _texts(ax)[:4] == ["red 30", "blue 50", "green 20", "between 100"]
    assert "blue 50" in _texts(ax)[4:]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["stated", "unet", "unet_vae"]
    assert plots.png(figure)
    with pytest.raises(ValueError, match="frequencies of parasol"):  # not counted for both
        palette_bars(models, ["balloon", "parasol"])


def test_agreement_writes_every_number():
    matrix = np.array([[1.0, -0.25], [-0.25, 1.0]])
    figure = agreement({"pictures": matrix, "models": matrix}, ["SSIM", "LPIPS"])
    assert _texts(figure.axes[0]) == ["1.00", "-0.25", "-0.25", "1.00"]
    assert [ax.get_title() for ax in figure.axes[:2]] == ["pictures", "models"]
    with pytest.raises(ValueError, match="does not fit 3 labels"):
        agreement({"pictures": np.eye(2)}, ["a", "b", "c"])


def test_a_grid_of_ranks_writes_every_rank():
    figure = rank_grid({"SSIM": [2, 1, 3], "LPIPS": [1, 3, 2]}, ["gray", "unet", "blur"])
    (ax,) = figure.axes
    assert _texts(ax) == ["2", "1", "1", "3", "3", "2"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["gray", "unet", "blur"]
    with pytest.raises(ValueError, match="want 2 ranks a metric"):
        rank_grid({"SSIM": [2, 1, 3]}, ["gray", "unet"])
