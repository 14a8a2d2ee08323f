"""How figures are drawn, displayed and compressed."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import decode

from colorlab import plots
from colorlab.training import History


def test_a_captioned_figure_prints_its_caption_and_is_sharp(monkeypatch):
    figure, axes = plots.new_figure(9, 3)
    axes[0, 0].imshow(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    with pytest.raises(ValueError, match="caption"):
        plots.captioned(figure, " ")
    shown = []
    monkeypatch.setattr(plots, "display", shown.append)
    plots.captioned(figure, "noise in colour")
    image, text = shown
    assert text.data == "*noise in colour*"
    assert decode(image.data).shape[1] == 1200 and image.width == 765
    (metadata,) = image._repr_mimebundle_()[1].values()
    assert metadata["alt"] == "noise in colour"


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
