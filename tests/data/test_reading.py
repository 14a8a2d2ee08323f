"""Reading any picture: the right pixels, or one sentence that helps."""

import errno
import io
import os
import re
import socket
import struct
import sys
import threading
from pathlib import Path

import bad_pictures
import numpy as np
import odd_pictures
import pytest
from memory import forget_peak, peak
from odd_pictures import TRUTH, saved
from PIL import Image, ImageCms
from skimage.color import rgb2lab

from colorlab.data import reading
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
from colorlab.files import shown

ODD = odd_pictures.pictures()
BAD = bad_pictures.no_pictures()
BOMBS = bad_pictures.bombs()
ALLOWED = (UnreadableImageError, FileNotFoundError, PermissionError)


def noise(height=96, width=128, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def outcome(read, *args):
    """What reading gives: pixels, or an error of an allowed type. It must not hang."""
    answers = []

    def work():
        try:
            answers.append(read(*args))
        except ALLOWED as error:
            answers.append(error)

    # A thread of its own, since what waits for a pipe can't be interrupted.
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(60)
    assert not thread.is_alive(), "reading hangs"
    (answer,) = answers  # none where another type of error ended the thread
    return answer


def check_refused(answer, name: str, message: str) -> None:
    """An error of one printable line: the file, what is wrong, what to do."""
    assert isinstance(answer, ALLOWED), answer
    text = str(answer)
    assert text.isprintable() and name in text and len(text) < 600, text
    assert re.search(message, text), text
    assert "; " in text, text  # a remedy follows


# ---- what is read


@pytest.mark.parametrize("kind", ODD)
def test_an_odd_picture_is_read_right(kind, tmp_path):
    odd = ODD[kind]
    file = tmp_path / "wrong extension.jpg"
    file.write_bytes(odd.content)
    got = outcome(read_rgb, file)
    assert got.shape == odd.truth.shape
    assert np.abs(got.astype(int) - odd.truth).max() <= odd.tolerance
    np.testing.assert_array_equal(read_upload(odd.content, "a.png"), got)


@pytest.mark.parametrize("kind", ["JPEG", "AVIF"])
def test_lossy_formats_equal_what_pil_decodes(kind):
    content = saved(noise(), kind)
    want = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
    np.testing.assert_array_equal(read_upload(content, "a"), want)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bit_gray_is_scaled_not_wrapped(kind):
    values = np.array([[0, 255, 256, 257, 32768, 65535]], dtype=np.uint16)
    want = np.rint(values / 257)[..., None].repeat(3, axis=-1)
    np.testing.assert_array_equal(read_upload(saved(values, kind), "a"), want)
    turned = saved(values, kind, exif=odd_pictures.oriented(6))
    np.testing.assert_array_equal(read_upload(turned, "a"), np.rot90(want, -1))


def test_rare_ways_of_storing():
    pgm = b"P5 3 1 65535\n" + struct.pack(">3H", 0, 32768, 65535)
    assert read_upload(pgm, "a.pgm")[0, :, 0].tolist() == [0, 128, 255]
    rgba = np.array([[[255, 0, 0, 255], [255, 0, 0, 0], [0, 0, 0, 128]]], dtype=np.uint8)
    got = read_upload(saved(rgba, "PNG"), "a.png").tolist()
    assert got == [[[255, 0, 0], [255, 255, 255], [127] * 3]]
    # Red of sRGB is L = 54.29, a = 80.80, b = 69.89 under the white D50 of ICC (Lindbloom).
    lab = Image.new("LAB", (8, 8), (round(54.29 * 2.55), 128 + 81, 128 + 70))
    got = read_upload(saved(lab, "TIFF"), "a.tif").reshape(-1, 3)[0].astype(int)
    assert np.abs(got - [255, 0, 0]).max() <= 6


def test_the_profile_is_applied_unless_it_is_srgb_or_broken():
    """The red of this profile is the green of sRGB, so that red pixels must come out green."""
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = bytearray(srgb)
    tags = {bytes(swapped[132 + 12 * i :][:4]): 132 + 12 * i for i in range(swapped[131])}
    red, green = tags[b"rXYZ"], tags[b"gXYZ"]
    swapped[red : red + 4], swapped[green : green + 4] = b"gXYZ", b"rXYZ"
    # The reader trusts a profile that calls itself sRGB, so this one takes another name.
    swapped = bytes(swapped).replace("sRGB".encode("utf-16-be"), "swap".encode("utf-16-be"))
    picture = Image.new("RGB", (8, 8), (255, 0, 0))
    got = read_upload(saved(picture, "PNG", icc_profile=swapped), "a")[0, 0].astype(int)
    assert np.abs(got - [0, 255, 0]).max() <= 2
    for profile in (srgb, srgb[:200]):
        content = saved(noise(), "PNG", icc_profile=profile)
        np.testing.assert_array_equal(read_upload(content, "a"), noise())


# ---- what is refused


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_picture_is_refused_in_words(kind, tmp_path):
    content, message = BAD[kind]
    file = tmp_path / "bad.jpg"
    file.write_bytes(content)
    check_refused(outcome(read_rgb, file), "bad.jpg", message)
    check_refused(outcome(read_upload, content, "bad.jpg"), "bad.jpg", message)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "GIF", "AVIF", "BMP"])
def test_a_picture_cut_at_any_tenth_is_refused(kind):
    content = saved(noise(40, 60), kind)
    for tenth in range(1, 10):
        cut = content[: len(content) * tenth // 10]
        check_refused(outcome(read_upload, cut, "cut.jpg"), "cut.jpg", bad_pictures.EITHER)


@pytest.mark.parametrize("kind", BOMBS)
def test_a_bomb_is_refused_before_it_goes_off(kind):
    content, message = BOMBS[kind]
    forget_peak()
    before = peak()
    check_refused(outcome(read_upload, content, "bomb.png"), "bomb.png", message)
    assert peak() - before < 100e6


def test_limits(tmp_path):
    content = saved(noise(), "PNG")
    assert read_rgb(io.BytesIO(content), most_pixels=96 * 128).shape == (96, 128, 3)
    answer = outcome(lambda: read_rgb(io.BytesIO(content), "a", most_pixels=96 * 128 - 1))
    check_refused(answer, "a", "128x96, at most 12,287 of this kind")
    np.testing.assert_array_equal(read_upload(content, "a.png", len(content)), noise())
    check_refused(outcome(read_upload, content, "a.png", 999), "a.png", "bytes, at most 999 are")
    file = tmp_path / "endless.png"
    with open(file, "wb") as stream:
        stream.truncate(10**12)  # takes no space on the disk
    check_refused(outcome(read_rgb, file), "endless.png", r"1,000,000,000,000 bytes, at most 268,")


def test_scans_are_counted_past_a_thumbnail():
    """A thumbnail inside a segment is a JPEG with scans of its own; so is what follows the end."""
    plain = saved(noise(), "JPEG")
    slow = saved(noise(), "JPEG", progressive=True, exif=b"Exif\0\0" + plain[:20_000])
    assert count_scans(memoryview(plain)) == 1
    # libjpeg's script for three components has ten scans (jcparam.c, jpeg_simple_progression).
    assert count_scans(memoryview(slow)) == 10
    assert count_scans(memoryview(slow + plain)) == 10


NAMES = {
    "a line break": "a\nb.png",
    "colours of the terminal": "\x1b[31mred.png",
    "emoji": "🦊 forêt 森.png",
    "bytes that are no text": b"caf\xe9 \xff.png",
    "writing turned round": "a\u202egnp.exe",
    "255 bytes": "n" * 251 + ".png",
}


@pytest.mark.parametrize("kind", NAMES)
def test_any_name_is_read_and_shown_in_one_line(kind, tmp_path):
    file = Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), os.fsencode(NAMES[kind]))))
    try:
        file.write_bytes(saved(TRUTH, "PNG"))
    except OSError:
        pytest.skip("this disk takes no such name")
    np.testing.assert_array_equal(outcome(read_rgb, file), TRUTH)
    file.write_bytes(b"no picture")
    name = shown(file.name)
    check_refused(outcome(read_rgb, file), name, bad_pictures.NO_PICTURE)
    check_refused(outcome(read_upload, b"no", file.name), name[-90:], bad_pictures.NO_PICTURE)


def test_what_is_no_plain_file(tmp_path):
    (tmp_path / "folder.jpg").mkdir()
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "zero.jpg").symlink_to("/dev/zero")
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    (tmp_path / "gone.jpg").symlink_to("nowhere.jpg")
    (tmp_path / "a.png").write_bytes(saved(TRUTH, "PNG"))
    (tmp_path / "link.jpg").symlink_to("a.png")
    np.testing.assert_array_equal(outcome(read_rgb, tmp_path / "link.jpg"), TRUTH)
    device = "a pipe or device, not a picture file; remove it"
    for name, message in (
        ("folder.jpg", "a folder, not a picture; name the files in it"),
        ("pipe.jpg", device),
        ("zero.jpg", device),
        ("loop.jpg", "a link that leads back to itself; remove it"),
        ("gone.jpg", "a link that leads nowhere; check the path"),
        ("nowhere.png", "no such picture file; check the path"),
        ("zero\0byte.png", "no such picture file"),
        ("a.png/b.png", "no such picture file"),
        ("n" * 5000 + ".png", "cannot be read .+; check"),
    ):
        check_refused(outcome(read_rgb, str(tmp_path / name)), shown(name)[-50:], message)
    if sys.platform == "linux":
        here = os.open(tmp_path, os.O_RDONLY)
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(f"/proc/self/fd/{here}/socket.jpg")  # the path itself may be too long
            os.close(here)
            check_refused(outcome(read_rgb, tmp_path / "socket.jpg"), "socket.jpg", device)


@pytest.mark.parametrize(
    ("owner", "name", "error", "message"),
    [
        ("os", "open", PermissionError(errno.EACCES, "no"), "may not be read; check its perm"),
        ("os", "open", OSError(errno.EIO, "Input/output error"), "Input/output error.+; check"),
        ("Image", "open", MemoryError(), "too large for the memory that is free; make it smaller"),
    ],
)
def test_what_the_system_refuses(owner, name, error, message, tmp_path, monkeypatch):
    """Simulated, since who runs the tests as root may read everything."""
    (tmp_path / "a.png").write_bytes(saved(TRUTH, "PNG"))

    def refuse(*args, **more):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(getattr(reading, owner), name, refuse)
        answer = outcome(read_rgb, tmp_path / "a.png")
    check_refused(answer, "a.png", message)


# ---- what is done with the pixels


def test_square_passes_the_right_size_untouched():
    picture = noise(64, 64)
    assert square(picture, 64) is picture


def test_square_equals_resizing_the_whole_and_cropping():
    for height, width, crop in ((64, 96, np.s_[:, 8:40]), (96, 64, np.s_[8:40])):
        picture = noise(height, width)
        whole = Image.fromarray(picture).resize((width // 2, height // 2), Image.Resampling.LANCZOS)
        np.testing.assert_array_equal(square(picture, 32), np.asarray(whole)[crop])


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
    flat = TRUTH  # each cell of 4x4 is of one colour, so averaging changes nothing
    lab = rgb2lab(flat)
    want = np.hypot(lab[..., 1], lab[..., 2]).mean()
    assert mean_chroma(flat) == pytest.approx(want, abs=0.02)
    assert mean_chroma(np.full((8, 8, 3), 77, dtype=np.uint8)) < 0.05


def test_threads_keep_the_order_and_pass_errors_on():
    assert list(in_threads(lambda x: x * x, range(100), workers=3)) == [x * x for x in range(100)]
    with pytest.raises(ZeroDivisionError):
        list(in_threads(lambda x: 1 // x, [1, 0, 2], workers=2))
