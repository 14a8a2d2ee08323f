"""In bands or whole: the same picture, in a fraction of the memory."""

import subprocess
import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from odd_pictures import pictures
from PIL import Image

from colorlab import bands, checkpoints
from colorlab.color import from_uint8, lightness, to_uint8
from colorlab.data.reading import UnreadableImageError, read_upload
from colorlab.models import build

ODD = pictures()

# Colours a small picture, then a large one; prints by how much the peak rose, in MB.
MEASURE = """
import resource, sys
from colorlab.__main__ import main

def peak():
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit

weights, small, large, out = sys.argv[1:]
for picture in (small, large):
    before = peak()
    assert main(["colorize", picture, "-o", out, "--model", weights, "--overwrite"]) == 0
print(round(peak() - before))
"""


@pytest.fixture
def narrow(monkeypatch) -> None:
    """Bands of a few rows."""
    monkeypatch.setattr(bands, "MOST_PIXELS", 300)


def colorful(target: str) -> torch.nn.Module:
    torch.manual_seed(0)
    model = build("unet", target=target, size=64, widths=(8, 16, 16, 16))
    torch.nn.init.normal_(model.head.project.weight, std=0.5)
    return model


@pytest.mark.parametrize(("height", "width"), [(7, 100), (1, 5), (3, 301), (60, 10)])
def test_bands_are_every_row_once(narrow, height, width):
    cut = bands.bands(height, width)
    assert [row for rows in cut for row in range(rows.start, rows.stop)] == list(range(height))
    assert all((rows.stop - rows.start) * width <= 300 or width > 300 for rows in cut)


@pytest.mark.parametrize("height", [9, 10, 31, 200])
def test_rows_are_those_that_torch_interpolates(height):
    torch.manual_seed(0)
    x = torch.rand(2, 3, 9, 5)
    want = F.interpolate(x, (height, 5), mode="bilinear")
    for rows in (slice(0, 3), slice(4, 9), slice(height - 2, height)):
        got = bands.enlarged_rows(x, height, rows)
        torch.testing.assert_close(got, want[..., rows, :], atol=1e-5, rtol=0)


def test_lightness_in_bands_is_lightness(narrow):
    eight = np.random.default_rng(0).integers(0, 256, (53, 37, 3), dtype=np.uint8)
    want = lightness(from_uint8(eight[None]))
    torch.testing.assert_close(bands.lightness_of(eight), want, atol=1e-4, rtol=0)


@pytest.mark.parametrize("target", ["ab", "rgb"])
@pytest.mark.parametrize("size", [(64, 64), (131, 77), (90, 203)])
def test_a_picture_in_bands_is_the_picture(target, size, monkeypatch):
    model = colorful(target)
    L = 30 + 40 * torch.rand(2, 1, *size)
    whole = to_uint8(model.colorize(L))
    assert np.ptp(whole.astype(int), axis=-1).max() > 20, "the test needs some colour"
    np.testing.assert_array_equal(model.colorize_8bit(L), whole)  # one band: to the bit
    monkeypatch.setattr(bands, "MOST_PIXELS", 300)
    in_bands = model.colorize_8bit(L)
    assert np.abs(in_bands.astype(int) - whole).max() <= 1
    np.testing.assert_array_equal(to_uint8(model.colorize(L)), in_bands)


@pytest.mark.parametrize("kind", ODD)
def test_a_file_is_read_in_bands_as_it_is_whole(kind, monkeypatch):
    whole = read_upload(ODD[kind].content, "a")
    monkeypatch.setattr(bands, "MOST_PIXELS", 300)
    np.testing.assert_array_equal(read_upload(ODD[kind].content, "a"), whole)


def test_a_wrong_value_in_the_last_band_is_found(narrow, tmp_path):
    values = np.zeros((40, 50), dtype=np.float32)
    values[-1, -1] = 2
    Image.fromarray(values).save(tmp_path / "a.tif")
    with pytest.raises(UnreadableImageError, match="outside"):
        read_upload((tmp_path / "a.tif").read_bytes(), "a.tif")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows counts memory in another way")
def test_24_megapixels_take_less_than_half_a_gigabyte(tmp_path):
    # Floats of this picture are 288 MB; worked on as a whole it took 2,000 MB.
    for name, size in (("small", (64, 64)), ("large", (6000, 4000))):
        # A turned one, since a turn may cost a copy too.
        exif = Image.Exif()
        exif[0x0112] = 6
        Image.linear_gradient("L").resize(size).save(tmp_path / f"{name}.jpg", exif=exif)
    weights = checkpoints.save(colorful("ab"), "photos", {}, tmp_path)
    files = [weights, tmp_path / "small.jpg", tmp_path / "large.jpg", tmp_path / "out.png"]
    words = [sys.executable, "-c", MEASURE, *map(str, files)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert int(done.stdout.split()[-1]) < 500
    with Image.open(tmp_path / "out.png") as colored:
        assert colored.size == (4000, 6000)


@pytest.mark.parametrize(
    ("shape", "size", "multiple", "least", "want"),
    [
        ((64, 100), 20, 4, 16, (16, 24)),  # 20x20 is 400 pixels, 16x24 are 384
        ((8, 100), 16, 4, 16, (16, 200)),  # the shorter side would be 4
        ((1000, 500), 256, 32, 0, (352, 192)),
        ((7, 900), 256, 32, 0, (32, 4128)),  # no side below one multiple, and 1 : 129 as it is
        ((40, 900), 256, 32, 0, (64, 1440)),  # not 1216
        ((900, 40), 256, 32, 0, (1440, 64)),
        ((1, 700), 256, 32, 0, (32, 22400)),
        ((1, 2000), 256, 32, 0, (32, 32768)),  # 16 times the area, and no more
    ],
)
def test_lightness_comes_to_the_area_of_training(shape, size, multiple, least, want):
    out = bands.resize_to_area(torch.full((2, 1, *shape), 70.0), size, multiple, least)
    assert tuple(out.shape) == (2, 1, *want)
    torch.testing.assert_close(out, torch.full_like(out, 70.0))


def test_the_right_size_is_left_alone_and_shrinking_does_not_alias():
    L = 100 * torch.rand(1, 1, 64, 100)
    assert bands.resize_to_area(L, 80, 4) is L  # the area of 80x80 already
    stripes = torch.zeros(1, 1, 128, 128)
    stripes[..., ::2] = 100.0
    assert (bands.resize_to_area(stripes, 32, 4) - 50).abs()[..., 2:-2].max() < 2
