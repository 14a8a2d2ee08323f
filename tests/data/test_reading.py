"""Reading any picture: each case is made by hand, so the right pixels are known."""

import io
import struct
import zlib

import numpy as np
import pytest
from faults.odd_pictures import TURNS, png
from PIL import Image, ImageCms
from skimage.color import rgb2lab

from colorlab.data.reading import (
    TooSmallError,
    UnreadableImageError,
    count_scans,
    in_threads,
    mean_chroma,
    read_rgb,
    read_upload,
    square,
)

COLOURS = np.array(
    [[[255, 0, 0], [0, 255, 0], [0, 0, 255]], [[10, 20, 30], [200, 150, 90], [128, 64, 32]]],
    dtype=np.uint8,
)


def big(colours=COLOURS, factor=16):
    """Each pixel as a square, so that a lossy format keeps its middle."""
    return colours.repeat(factor, axis=0).repeat(factor, axis=1)


def noise(height=96, width=128, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "ppm", "webp", "gif"])
def test_lossless_formats_keep_every_pixel(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    options = {"lossless": True} if suffix == "webp" else {}
    Image.fromarray(big()).save(path, **options)
    np.testing.assert_array_equal(read_rgb(path), big())


@pytest.mark.parametrize("suffix", ["jpg", "avif"])
def test_lossy_formats_equal_what_pil_decodes(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(noise()).save(path, quality=80)
    np.testing.assert_array_equal(read_rgb(path), np.asarray(Image.open(path).convert("RGB")))


@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_exif_orientation_is_applied(tmp_path, orientation, suffix):
    path = tmp_path / f"a.{suffix}"
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(big()).save(path, exif=exif)
    np.testing.assert_array_equal(read_rgb(path), TURNS[orientation](big()))


def test_damaged_exif_does_not_cost_the_picture(tmp_path):
    path = tmp_path / "a.jpg"
    Image.fromarray(noise()).save(path, exif=b"Exif\x00\x00MM\x00*\xff\xff\xff\xff")
    assert read_rgb(path).shape == (96, 128, 3)


def test_16_bit_gray_is_scaled_not_wrapped(tmp_path):
    values = np.array([[0, 255, 256, 257, 32768, 65535]], dtype=np.uint16)
    for suffix in ("png", "tif"):
        path = tmp_path / f"a.{suffix}"
        Image.fromarray(values).save(path)
        got = read_rgb(path)
        want = np.rint(values / 257)[..., None].repeat(3, axis=-1)
        np.testing.assert_array_equal(got, want)


def test_16_bit_pgm(tmp_path):
    path = tmp_path / "a.pgm"
    path.write_bytes(b"P5 3 1 65535\n" + struct.pack(">3H", 0, 32768, 65535))
    assert read_rgb(path)[0, :, 0].tolist() == [0, 128, 255]


def test_16_bit_colour_keeps_the_high_byte(tmp_path):
    rows = b"\0" + struct.pack(">6H", 65535, 256, 0, 1, 32768, 65280)
    path = tmp_path / "a.png"
    path.write_bytes(png(2, 1, 16, 2, zlib.compress(rows)))
    got = read_rgb(path).astype(int)
    assert np.abs(got - [[[255, 1, 0], [0, 128, 254]]]).max() <= 1


def test_float_tiff_in_unit_range_and_beyond(tmp_path):
    Image.fromarray(np.array([[0.0, 0.5, 1.0]], dtype=np.float32)).save(tmp_path / "a.tif")
    assert read_rgb(tmp_path / "a.tif")[0, :, 1].tolist() == [0, 128, 255]
    for bad in (np.nan, 1.5, -0.1):
        Image.fromarray(np.array([[0.0, bad]], dtype=np.float32)).save(tmp_path / "b.tif")
        with pytest.raises(UnreadableImageError, match=r"b\.tif.*8 or 16 bits"):
            read_rgb(tmp_path / "b.tif")


def test_one_bit_and_gray(tmp_path):
    Image.fromarray(np.array([[True, False]])).convert("1").save(tmp_path / "a.png")
    assert read_rgb(tmp_path / "a.png").tolist() == [[[255] * 3, [0] * 3]]
    Image.fromarray(np.array([[7, 200]], dtype=np.uint8)).save(tmp_path / "b.png")
    assert read_rgb(tmp_path / "b.png").tolist() == [[[7] * 3, [200] * 3]]


def test_alpha_is_laid_on_white(tmp_path):
    rgba = np.array([[[255, 0, 0, 255], [255, 0, 0, 0], [0, 0, 0, 128]]], dtype=np.uint8)
    Image.fromarray(rgba).save(tmp_path / "a.png")
    assert read_rgb(tmp_path / "a.png").tolist() == [[[255, 0, 0], [255, 255, 255], [127] * 3]]
    gray_alpha = Image.fromarray(rgba).convert("LA")
    gray_alpha.save(tmp_path / "b.png")
    assert read_rgb(tmp_path / "b.png")[0, 1].tolist() == [255, 255, 255]


def test_palette_with_and_without_transparency(tmp_path):
    indices = Image.fromarray(np.array([[0, 1, 2]], dtype=np.uint8)).convert("P")
    indices.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    indices.save(tmp_path / "a.png")
    assert read_rgb(tmp_path / "a.png").tolist() == [[[255, 0, 0], [0, 255, 0], [0, 0, 255]]]
    indices.save(tmp_path / "b.png", transparency=bytes([255, 0, 128]))
    got = read_rgb(tmp_path / "b.png").tolist()
    assert got == [[[255, 0, 0], [255, 255, 255], [127, 127, 255]]]


def test_cmyk(tmp_path):
    cmyk = np.zeros((1, 3, 4), dtype=np.uint8)
    cmyk[0, 0] = [0, 255, 255, 0]  # magenta and yellow ink: red
    cmyk[0, 1] = [0, 0, 0, 255]  # black ink
    Image.fromarray(big(cmyk), mode="CMYK").save(tmp_path / "a.jpg", quality=95, subsampling=0)
    got = read_rgb(tmp_path / "a.jpg")[8, 8::16].astype(int)
    assert np.abs(got - [[255, 0, 0], [0, 0, 0], [255, 255, 255]]).max() <= 6


def test_first_frame_of_an_animation(tmp_path):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert (read_rgb(tmp_path / "a.gif") == [255, 0, 0]).all()


def test_lab_tiff(tmp_path):
    """Red of sRGB is L = 54.29, a = 80.80, b = 69.89 under the white D50 of ICC (Lindbloom)."""
    lab = Image.new("LAB", (8, 8), (round(54.29 * 2.55), 128 + 81, 128 + 70))
    lab.save(tmp_path / "a.tif")
    got = read_rgb(tmp_path / "a.tif").reshape(-1, 3)[0].astype(int)
    assert np.abs(got - [255, 0, 0]).max() <= 6


def test_profile_with_swapped_primaries(tmp_path):
    """The red of this profile is the green of sRGB, so that red pixels must come out green."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    tags = {bytes(profile[132 + 12 * i :][:4]): 132 + 12 * i for i in range(profile[131])}
    red, green = tags[b"rXYZ"], tags[b"gXYZ"]
    profile[red : red + 4], profile[green : green + 4] = b"gXYZ", b"rXYZ"
    # The reader trusts a profile that calls itself sRGB, so this one takes another name.
    profile = bytes(profile).replace("sRGB".encode("utf-16-be"), "swap".encode("utf-16-be"))
    Image.new("RGB", (8, 8), (255, 0, 0)).save(tmp_path / "a.png", icc_profile=profile)
    got = read_rgb(tmp_path / "a.png")[0, 0].astype(int)
    assert np.abs(got - [0, 255, 0]).max() <= 2


def test_srgb_profile_changes_no_bit_and_a_broken_one_is_ignored(tmp_path):
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for profile in (srgb, b"no profile at all", srgb[:200]):
        Image.fromarray(noise()).save(tmp_path / "a.png", icc_profile=profile)
        np.testing.assert_array_equal(read_rgb(tmp_path / "a.png"), noise())


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "avif", "gif", "bmp", "tif"])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.9])
def test_cut_files_are_named(tmp_path, suffix, share):
    path = tmp_path / f"half.{suffix}"
    Image.fromarray(noise()).save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(UnreadableImageError, match=rf"half\.{suffix}"):
        read_rgb(path)


def test_other_errors_name_the_file(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.png"):
        read_rgb(tmp_path / "nowhere.png")
    with pytest.raises(UnreadableImageError, match="a folder, not a picture"):
        read_rgb(tmp_path)
    (tmp_path / "text.jpg").write_text("not a picture")
    with pytest.raises(UnreadableImageError, match=r"text\.jpg: not a picture"):
        read_rgb(tmp_path / "text.jpg")
    Image.fromarray(noise()).save(tmp_path / "large.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(UnreadableImageError, match=r"large\.png: too many pixels"):
        read_rgb(tmp_path / "large.png")


def test_limits_can_be_set():
    buffer = io.BytesIO()
    Image.fromarray(noise()).save(buffer, "PNG")
    assert read_rgb(buffer, most_pixels=96 * 128).shape == (96, 128, 3)
    with pytest.raises(UnreadableImageError, match=r"128x96, at most 12,287 of this kind"):
        read_rgb(buffer, most_pixels=96 * 128 - 1)
    length = len(buffer.getvalue())
    np.testing.assert_array_equal(read_upload(buffer.getvalue(), "a.png", length), noise())
    with pytest.raises(UnreadableImageError, match=r"^a\.png: 37,.+ bytes, at most 1,000 bytes"):
        read_upload(buffer.getvalue(), "a.png", 1000)


def test_scans_are_counted_past_a_thumbnail():
    """A thumbnail inside a segment is a JPEG with scans of its own; so is what follows the end."""
    image = Image.fromarray(noise())
    plain, slow = io.BytesIO(), io.BytesIO()
    image.save(plain, "JPEG")
    image.save(slow, "JPEG", progressive=True, exif=b"Exif\0\0" + plain.getvalue()[:20_000])
    assert count_scans(plain.getbuffer()) == 1
    # libjpeg's script for three components has ten scans (jcparam.c, jpeg_simple_progression).
    assert count_scans(slow.getbuffer()) == 10
    assert count_scans(memoryview(slow.getvalue() + plain.getvalue())) == 10


def test_bytes_in_memory():
    buffer = io.BytesIO()
    Image.fromarray(noise()).save(buffer, "PNG")
    np.testing.assert_array_equal(read_rgb(buffer), noise())
    with pytest.raises(UnreadableImageError, match=r"member\.jpg"):
        read_rgb(io.BytesIO(b"nothing"), "member.jpg")


def test_square_passes_the_right_size_untouched():
    picture = noise(64, 64)
    assert square(picture, 64) is picture


@pytest.mark.parametrize("shape", [(64, 100), (100, 64), (64, 99)])
def test_square_crops_the_centre(shape):
    """Of a picture that is coloured only outside the centre square, nothing coloured is left."""
    height, width = shape
    picture = np.full((height, width, 3), 100, dtype=np.uint8)
    if width > height:
        edge = (width - height) // 2
        picture[:, :edge] = picture[:, width - edge :] = [255, 0, 0]
    else:
        edge = (height - width) // 2
        picture[:edge] = picture[height - edge :] = [255, 0, 0]
    got = square(picture, 32)
    assert got.shape == (32, 32, 3)
    # The filter reaches three pixels of the answer over the edge, no further.
    assert (got[3:-3, 3:-3] == 100).all()


def test_square_equals_resizing_the_whole_and_cropping():
    picture = noise(64, 96)
    whole = Image.fromarray(picture).resize((48, 32), Image.Resampling.LANCZOS)
    np.testing.assert_array_equal(square(picture, 32), np.asarray(whole)[:, 8:40])


def test_square_averages_when_it_shrinks():
    """A fine chequerboard becomes even gray: nearest or plain bilinear would leave stripes."""
    board = (np.indices((256, 256)).sum(axis=0) % 2 * 255).astype(np.uint8)
    got = square(board[..., None].repeat(3, axis=-1), 32).astype(int)
    assert np.abs(got - 127.5).max() <= 4


def test_square_refuses_to_enlarge_more_than_twice():
    assert square(noise(32, 200), 64).shape == (64, 64, 3)
    with pytest.raises(TooSmallError, match=r"tiny\.png: 200x31 pixels"):
        square(noise(31, 200), 64, "tiny.png")


def test_mean_chroma_agrees_with_scikit_image():
    flat = big(COLOURS, 16)  # each cell of 4x4 is of one colour, so averaging changes nothing
    lab = rgb2lab(flat)
    want = np.hypot(lab[..., 1], lab[..., 2]).mean()
    assert mean_chroma(flat) == pytest.approx(want, abs=0.02)
    assert mean_chroma(np.full((8, 8, 3), 77, dtype=np.uint8)) < 0.05


def test_threads_keep_the_order_and_pass_errors_on():
    assert list(in_threads(lambda x: x * x, range(100), workers=3)) == [x * x for x in range(100)]
    with pytest.raises(ZeroDivisionError):
        list(in_threads(lambda x: 1 // x, [1, 0, 2], workers=2))


def test_every_test_photograph_is_decoded_exactly(photos_dir):
    files = sorted((photos_dir / "test").iterdir())
    assert files
    for path in files:
        got = square(read_rgb(path), 256)
        np.testing.assert_array_equal(got, np.asarray(Image.open(path).convert("RGB")))
