"""Other tools' images: found by name, brought to the set's size, with how far their L moved."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from colorlab.color import from_uint8, lightness
from colorlab.data.cache import Pictures
from colorlab.metrics import answer_rows, evaluate, write_grays

pytestmark = pytest.mark.usefixtures("no_lpips")


@pytest.fixture
def photographs():
    """Three smooth photographs; one lies in a folder."""
    random = np.random.default_rng(0)
    coarse = [Image.fromarray(random.integers(0, 256, (4, 4, 3), dtype=np.uint8)) for _ in "abc"]
    rgb = np.stack([np.asarray(one.resize((64, 64))) for one in coarse])
    return Pictures(rgb, ("a.jpg", "b.jpg", "deep/c.png"), "0" * 64, "test")


@pytest.fixture
def folder(tmp_path, photographs):
    """The exact truth as answers, in one format or another that loses nothing."""
    answers = tmp_path / "app"
    (answers / "deep").mkdir(parents=True)
    for name, rgb in zip(("a.bmp", "b.png", "deep/c.tif"), photographs.rgb, strict=True):
        Image.fromarray(rgb).save(answers / name)
    return answers


def measured(folder, photographs):
    rows = answer_rows(folder, photographs)
    return evaluate(rows, photographs, batch_size=2, progress=False)


def test_the_truth_has_no_error_whatever_its_format(folder, photographs):
    table = measured(folder, photographs)
    assert table.models == ("app", "app, own L")
    for row in table.models:
        assert table.interval(row, "de76").high == pytest.approx(0, abs=1e-3)
    assert "its L differs from the photographs' by 0.0 on average" in str(table)
    assert "warning" not in str(table)


def test_another_size_is_brought_back_and_each_answer_belongs_to_its_photograph(
    folder, photographs
):
    large = Image.fromarray(photographs.rgb[1]).resize((256, 256), Image.Resampling.LANCZOS)
    wide = Image.new("RGB", (400, 256))
    wide.paste(large, (72, 0))  # the centre square counts
    wide.save(folder / "b.png")
    table = measured(folder, photographs)
    errors = table.per_picture["app, own L"]["de76"]
    assert errors[[0, 2]].max() < 1e-3 < 0.1 < errors[1] < 3


def test_a_brighter_tool_is_warned_of_and_its_colours_are_judged_apart(folder, photographs):
    for name, rgb in zip(("a.bmp", "b.png", "deep/c.tif"), photographs.rgb, strict=True):
        Image.fromarray(255 - (255 - rgb) // 2).save(folder / name)
    table = measured(folder, photographs)
    moved = [
        abs(lightness(from_uint8(255 - (255 - rgb) // 2)) - lightness(from_uint8(rgb))).mean()
        for rgb in photographs.rgb
    ]
    assert "warning: app: its L differs" in str(table)
    assert f"by {np.mean(moved):.1f} on average, by {max(moved):.1f} in" in str(table)
    assert table.paired("de76", "app, own L", "app").low > 0


def test_files_that_are_missing_double_or_of_no_photograph_are_named(folder, photographs):
    Image.new("RGB", (64, 64)).save(folder / "stray.png")
    (folder / "notes.txt").write_text("no image")
    note = answer_rows(folder, photographs)["app"].note
    assert "1 files belong to no photograph, such as stray.png" in note
    Image.new("RGB", (64, 64)).save(folder / "a.png")
    with pytest.raises(ValueError, match=r"app holds a\.bmp and a\.png; remove one"):
        answer_rows(folder, photographs)
    (folder / "a.png").unlink()
    (folder / "b.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"lacks 1 of 3 images, such as b\.png"):
        answer_rows(folder, photographs)
    Image.new("RGB", (9, 9)).save(folder / "b.png")
    with pytest.raises(ValueError, match=r"b\.png: 9x9 pixels are too few"):
        answer_rows(folder, photographs)
    (folder / "b.png").write_bytes(b"no image at all")
    with pytest.raises(OSError, match=r"b\.png"):
        answer_rows(folder, photographs)


def test_grays_hold_the_photographs_l_and_are_found_again(tmp_path, photographs):
    grays = tmp_path / "grays"
    write_grays(grays, photographs)
    assert sorted(file.name for file in grays.rglob("*.png")) == ["a.png", "b.png", "c.png"]
    with Image.open(grays / "a.png") as gray:
        assert gray.mode == "L" and gray.size == (64, 64)
    table = measured(grays, photographs)
    assert table.interval("grays", "de76").low > 5, "no colour"
    assert "by 0.1 on average" in str(table) or "by 0.0 on average" in str(table)
    with pytest.raises(FileExistsError, match="grays is not empty; name a new folder"):
        write_grays(grays, photographs)
    twice = Pictures(photographs.rgb[:2], ("a.jpg", "a.png"), "0" * 64, "test")
    with pytest.raises(ValueError, match="two photographs of the set are called a"):
        write_grays(tmp_path / "new", twice)
