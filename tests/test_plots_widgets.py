"""Figures, sliders and exercise checks: what a reader relies on."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

from colorlab import plots
from colorlab.color import linear_to_srgb, rgb_to_lab, srgb_to_linear
from colorlab.exercises import check
from colorlab.training import History
from colorlab.widgets import figure_slider


def decode(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def test_a_figure_needs_alt_text(monkeypatch):
    figure, _ = plots.new_figure()
    with pytest.raises(ValueError, match="alt text"):
        plots.show(figure, alt=" ")
    shown = []
    monkeypatch.setattr(plots, "display", shown.append)
    plots.show(figure, alt="an empty frame")
    _, metadata = shown[0]._repr_mimebundle_()
    assert metadata["image/png"]["alt"] == "an empty frame"


def test_photographs_become_jpeg_with_all_of_their_colours_and_lines_stay_png():
    figure, axes = plots.new_figure()
    axes[0, 0].plot([0, 1], [0, 1])
    _, kind = plots.compressed(Image.open(io.BytesIO(plots.png(figure))))
    assert kind == "png"
    # Red and green columns, one pixel each: halved chroma would make them brown.
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2, 0] = stripes[:, 1::2, 1] = 200
    noise = np.random.default_rng(0).integers(0, 12, (64, 64, 3), dtype=np.uint8)
    data, kind = plots.compressed(Image.fromarray(stripes + noise))
    assert kind == "jpeg"
    assert np.abs(decode(data).astype(int) - stripes - noise).mean() < 8


def test_lines_and_letters_take_half_the_bytes_and_look_the_same():
    figure, axes = plots.new_figure()
    for i, color in enumerate(plots.PALETTE):
        axes[0, 0].plot([0, 1], [0, i], color=color, label=color)
    axes[0, 0].legend()
    drawn = plots.png(figure)
    data, kind = plots.compressed(Image.open(io.BytesIO(drawn)))
    assert kind == "png"
    assert len(data) < 0.6 * len(drawn)
    before, after = decode(drawn).astype(int), decode(data).astype(int)
    assert (np.abs(after - before).max(axis=-1) <= 16).mean() > 0.995
    assert (after[before.min(axis=-1) == 255] == 255).all(), "paper stays white"
    # Every colour is there: a palette has no room for them, and none is lost.
    cube = np.stack(np.meshgrid(*[np.arange(0, 256, 8, dtype=np.uint8)] * 3), axis=-1)
    shuffled = np.random.default_rng(0).permutation(cube.reshape(-1, 3)).reshape(128, 256, 3)
    data, _ = plots.compressed(Image.fromarray(np.repeat(np.repeat(shuffled, 8, 0), 8, 1)))
    assert np.abs(decode(data)[4::8, 4::8].astype(int) - shuffled).mean() < 4


def test_the_same_figure_gives_the_same_bytes():
    once, again = (plots.png(plots.pictures({"red": torch.ones(1, 3, 8, 8)})) for _ in range(2))
    assert once == again


def test_pictures_are_shown_in_their_colors():
    red = torch.tensor([1.0, 0.0, 0.0])[None, :, None, None].expand(2, 3, 8, 8)
    image = decode(plots.png(plots.pictures({"red": red, "error": np.ones((2, 8, 8))})))
    assert (np.abs(image.astype(int) - [255, 0, 0]).sum(-1) == 0).mean() > 0.2
    with pytest.raises(ValueError, match="same number"):
        plots.pictures({"a": red, "b": red[:1]})


def test_a_gallery_titles_every_picture():
    three = torch.rand(3, 3, 8, 8)
    axes = plots.gallery(three, ["a", "b", "c"], columns=2).axes
    assert [ax.get_title() for ax in axes] == ["a", "b", "c", ""]
    np.testing.assert_allclose(
        axes[2].images[0].get_array() / 255, three[2].permute(1, 2, 0), atol=2e-3
    )
    assert not axes[3].images
    with pytest.raises(ValueError, match="each of 3"):
        plots.gallery(three, ["a"], columns=2)


def test_history_and_intervals_draw_what_they_are_given():
    history = History(
        rows=[{"step": 1, "mse": 0.5, "score": 9.0}, {"step": 2, "mse": 0.2, "score": 7.0}]
    )
    left, right = plots.history(history, {"gray": 20.0}).axes
    assert left.lines[0].get_ydata().tolist() == [0.5, 0.2]
    assert right.lines[0].get_ydata().tolist() == [9.0, 7.0]
    figure = plots.intervals(["gray", "unet"], {"SSIM": [(0.9, 0.8, 0.95), (0.92, 0.9, 0.93)]})
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == ["gray", "unet"]


def test_palette_stays_apart_for_a_deuteranope():
    # Machado, Oliveira and Fernandes 2009, table 1, deuteranomaly of severity 1.0, on linear RGB.
    simulate = np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    )
    rgb = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in plots.PALETTE]) / 255
    linear = srgb_to_linear(torch.from_numpy(rgb)).numpy() @ simulate.T
    seen = linear_to_srgb(torch.from_numpy(linear.clip(0, 1)))
    lab = rgb_to_lab(seen.T[:, None, :]).squeeze(1).T
    distance = torch.cdist(lab, lab) + 1e3 * torch.eye(len(lab))
    assert distance.min() > 8
    assert len(plots.MARKERS) >= len(plots.PALETTE), "a marker beside each colour"


def test_a_slider_redraws_and_draws_each_option_once():
    drawn = []

    def draw(value):
        drawn.append(value)
        return plots.pictures({"flat": torch.full((1, 3, 8, 8), value)})

    box = figure_slider(draw, {"dark": 0.1, "light": 0.9}, "level", alt="a flat square", start=0.9)
    slider, image, note = box.children
    assert slider.label == "light"
    first = image.value
    slider.index = 0
    assert image.value != first
    assert decode(image.value).mean() < decode(first).mean()
    slider.index = 1
    assert image.value == first
    assert drawn == [0.9, 0.1]
    assert "a flat square" in note.value
    assert repr(box) == "FigureSlider(level: 2 figures)"
    data, metadata = box._repr_mimebundle_()
    (kind,) = metadata  # what a page without a kernel shows: the figure it stands at
    assert "application/vnd.jupyter.widget-view+json" in data
    still = np.asarray(Image.open(io.BytesIO(data[kind])).convert("RGB"), dtype=float)
    assert np.abs(still - decode(image.value)).mean() < 2
    assert metadata[kind]["alt"] == "level light: a flat square"
    with pytest.raises(ValueError, match="at least one"):
        figure_slider(draw, [], "level", alt="nothing")


def test_check_tells_the_first_thing_that_is_wrong(capsys):
    assert check((True, "no"), (lambda: 1 + 1 == 2, "no"))
    assert capsys.readouterr().out == "Correct.\n"
    assert not check((True, "no"), (False, "it is too short"), (False, "later"))
    assert capsys.readouterr().out == "Not yet: it is too short.\n"
    assert not check((lambda: None + 1 > 0, "it is not a number"))
    assert "it is not a number (TypeError" in capsys.readouterr().out
