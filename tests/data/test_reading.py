"""Reading any picture: the right pixels, or one sentence that helps."""

import errno
import importlib.util
import io
import itertools
import os
import re
import socket
import struct
import sys
import threading
import zlib
from pathlib import Path

import bad_pictures
import numpy as np
import odd_pictures
import picture_table
import pytest
import tifffile
from memory import forget_peak, peak
from odd_pictures import TRUTH, bitmap, chunk, lzw, png, saved, tiff
from picture_table import profile
from PIL import Image, ImageCms
from skimage.color import rgb2lab

from colorlab.data import reading
from colorlab.data.reading import (
    TooSmallError,
    UnreadableImageError,
    count_scans,
    in_threads,
    mean_chroma,
    read_picture,
    read_rgb,
    read_upload,
    square,
)
from colorlab.data.writing import Metadata, Parts, encode
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
    picture = Image.new("RGB", (8, 8), (255, 0, 0))
    got = read_upload(saved(picture, "PNG", icc_profile=bytes(swapped)), "a")[0, 0].astype(int)
    assert np.abs(got - [0, 255, 0]).max() <= 2
    for whole_or_not in (srgb, srgb[:200]):
        content = saved(noise(), "PNG", icc_profile=whole_or_not)
        np.testing.assert_array_equal(read_upload(content, "a"), noise())


# ---- what the file declares


def check_made(case, seed=0):
    content, truth = picture_table.made(case, seed)
    got = read_picture(io.BytesIO(content))
    assert truth.fault(got) == ""
    assert truth.is_over_white(read_upload(content, "made"))
    if seed % 16 == 1:  # what is written is read again
        opaque = got.alpha is None or got.alpha.min() == np.iinfo(got.alpha.dtype).max
        for kind in ("PNG", "TIFF"):
            file, lost = encode([got], [Metadata()], kind, Parts("", []))
            back = read_picture(io.BytesIO(file))
            assert not lost and np.array_equal(back.rgb, got.rgb)
            assert back.alpha is None if opaque else np.array_equal(back.alpha, got.alpha)


@pytest.mark.parametrize("case", picture_table.table(), ids=str)
def test_a_made_picture_is_read_right(case):
    check_made(case)


def test_pictures_made_by_chance_are_read_right():
    for seed in range(int(os.environ.get("COLORLAB_PICTURES", "300"))):
        case = picture_table.drawn(seed)
        try:
            check_made(case, seed)
        except (AssertionError, UnreadableImageError) as error:
            raise AssertionError(f"seed {seed}, {case}") from error


@pytest.mark.parametrize("space", picture_table.SPACES)
def test_profiles_in_16_bits_agree_with_littlecms(space):
    own = profile(space, gray=False)
    picture = np.maximum(noise(), 40)  # LittleCMS rounds darker ones too early
    source = ImageCms.ImageCmsProfile(io.BytesIO(own))
    target = ImageCms.createProfile("sRGB")
    want = np.asarray(ImageCms.profileToProfile(Image.fromarray(picture), source, target, 1))
    tagged = in_png(picture.astype(int) * 257, chunk(b"iCCP", b"a\0\0" + zlib.compress(own)))
    assert np.abs(read_upload(tagged, "a").astype(int) - want).max() <= 1


def test_a_profile_that_littlecms_refuses_still_counts():
    later = bytearray(profile("adobe", gray=False))
    later[8] = 6  # a version that does not exist yet
    with pytest.raises(OSError, match="profile"):
        ImageCms.ImageCmsProfile(io.BytesIO(later))
    got = read_upload(saved(noise(), "PNG", icc_profile=bytes(later)), "a")
    want = np.rint(picture_table.to_srgb(noise() / 255, "adobe") * 255)
    assert np.abs(got - want).max() <= 1


RAMP = np.arange(256, dtype=np.uint8)[None].repeat(4, 0)
GREEN = np.full((8, 8, 3), (29, 240, 66), np.uint8)


def in_tiff(pixels, **options):
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels, metadata=None, **options)
    return buffer.getvalue()


def in_png(pixels, extra=b""):
    """A PNG of 16 bits."""
    height, width, channels = pixels.shape
    rows = b"".join(b"\0" + row.tobytes() for row in pixels.astype(">u2"))
    color = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    return png(width, height, 16, color, zlib.compress(rows), extra)


def test_what_pil_reads_wrong():
    size = {256: (37,), 257: (21,), 277: (1,), 278: (21,), 262: (1,)}
    deep = np.random.default_rng(0).integers(0, 4096, (21, 38))
    high = np.stack([deep[:, ::2] >> 4, (deep[:, ::2] & 15) << 4 | deep[:, 1::2] >> 8], -1)
    packed = np.concatenate([high, deep[:, 1::2, None] & 255], -1).astype(np.uint8).tobytes()
    got = read_upload(tiff({**size, 256: (38,), 258: (12,), 259: (1,)}, packed), "12 bits")
    np.testing.assert_array_equal(got[..., 0], np.rint(deep / 4095 * 255))
    colors = np.random.default_rng(1).integers(0, 65536, (21, 37, 3)).astype("<u2")
    tags = {**size, 277: (3,), 258: (16,) * 3, 259: (5,), 262: (2,)}
    got = read_upload(tiff(tags, lzw(colors.tobytes())), "LZW of 16 bits")
    np.testing.assert_array_equal(got, np.rint(colors / 257))
    indices = np.random.default_rng(2).integers(0, 256, (21, 37)).astype(np.uint8)
    colors = np.random.default_rng(3).integers(0, 256, (3, 256)).astype(np.uint16)
    for step in (1, 257):  # some old programs wrote 8 bits
        stored = in_tiff(indices, photometric="palette", colormap=colors * np.uint16(step))
        np.testing.assert_array_equal(read_upload(stored, "palette"), colors.T[indices])
    fourth = np.concatenate([noise(), np.zeros((96, 128, 1), np.uint8)], axis=-1)
    tags = {256: (128,), 257: (96,), 277: (4,), 278: (96,), 262: (2,), 258: (8,) * 4, 259: (1,)}
    np.testing.assert_array_equal(read_upload(tiff(tags, fourth.tobytes()), "unused"), noise())
    np.testing.assert_array_equal(read_upload(bitmap(noise()), "alpha of a bitmap is 0"), noise())
    half = np.rint(noise() * (128 / 255) + 127)
    assert np.abs(read_upload(bitmap(noise(), 128), "a").astype(int) - half).max() <= 1
    hidden = np.dstack([RAMP, np.zeros_like(RAMP)])
    picture = read_picture(io.BytesIO(saved(Image.fromarray(hidden, "LA"), "PNG")))
    np.testing.assert_array_equal(picture.rgb[..., 1], RAMP)
    assert not picture.alpha.any()
    # Red of sRGB under D50 is L = 54.29, a = 80.80, b = 69.89 (Lindbloom).
    red = np.rint([54.29 * 652.8, (80.80 + 128) * 256, (69.89 + 128) * 256]).astype(np.uint16)
    got = read_upload(in_tiff(np.tile(red, (8, 8, 1)), photometric="icclab"), "Lab")
    assert np.abs(got[0, 0].astype(int) - (255, 0, 0)).max() <= 1


def test_a_profile_that_is_a_table():
    """Its corners are the colours of sRGB in another order."""
    red, green, white, black = (255, 0, 0), (0, 255, 0), (255, 255, 255), (0, 0, 0)
    for inks, none, told in ((3, black, white), (4, white, black)):
        corners = dict.fromkeys(itertools.product((0, 1), repeat=inks), lab_under_d50(told))
        corners |= {
            (0,) * inks: lab_under_d50(none),
            (1,) + (0,) * (inks - 1): lab_under_d50(green),
        }
        corners[(0, 1) + (0,) * (inks - 2)] = lab_under_d50(red)
        own = picture_table.table_profile(corners)
        for top in (255, 65535):
            stored = np.zeros((2, 3, inks), np.uint8 if top == 255 else np.uint16)
            stored[:, 1, 0] = stored[:, 2, 1] = top
            kind = {3: "rgb", 4: "separated"}[inks]
            picture = read_picture(io.BytesIO(in_tiff(stored, photometric=kind, iccprofile=own)))
            got = picture.rgb[0] / (top // 255)
            assert np.abs(got - (none, green, red)).max() <= 3
            assert ("since the colour profile is a table" in picture.lost) == (top > 255)


def lab_under_d50(rgb):
    light = picture_table.srgb_light(np.array(rgb) / 255)
    xyz = picture_table.SRGB @ light / (0.9642, 1, 0.8249)
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz * (29 / 6) ** 2 / 3 + 4 / 29)
    return 116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])


def test_profiles_where_pil_does_not_look():
    swapped = profile("linear", gray=False)
    want = np.full_like(GREEN, (95, 248, 139))
    np.testing.assert_array_equal(read_upload(bitmap(GREEN, 255, swapped), "BMP 5"), want)
    jp2 = saved(GREEN, "JPEG2000")
    at = jp2.index(b"colr") - 4
    box = struct.pack(">I", len(swapped) + 11) + b"colr\2\0\0" + swapped
    grown = int.from_bytes(jp2[(head := jp2.index(b"jp2h") - 4) : head + 4]) + len(box) - 15
    jp2 = jp2[:head] + struct.pack(">I", grown) + jp2[head + 4 : at] + box + jp2[at + 15 :]
    np.testing.assert_array_equal(read_upload(jp2, "JPEG 2000"), want)
    any_icc = jp2.replace(b"colr\2", b"colr\3")
    np.testing.assert_array_equal(read_upload(any_icc, "JPEG 2000"), want)
    avif = bytearray(saved(GREEN, "AVIF", quality=100, subsampling="4:4:4"))
    at = avif.index(b"colrnclx") + 8
    avif[at : at + 4] = struct.pack(">2H", 12, 13)  # Display P3
    plain = np.asarray(Image.open(io.BytesIO(avif)).convert("RGB"))
    want = np.rint(picture_table.to_srgb(plain / 255, "p3") * 255)
    assert np.abs(read_upload(bytes(avif), "AVIF") - want).max() <= 1


def test_a_declaration_that_says_nothing_is_passed_over():
    cmyk = bytearray(profile("linear", gray=False))
    cmyk[16:20] = b"CMYK"
    flat = profile("linear", gray=False).replace(b"rXYZ", b"zXYZ")
    for unfit in (bytes(cmyk), flat, profile("linear", gray=True), b""):
        np.testing.assert_array_equal(
            read_upload(saved(noise(), "PNG", icc_profile=unfit), "a"), noise()
        )
    wide = noise().astype(int) * 257
    nothing = struct.pack(">8I", *range(8))
    for extra in (
        chunk(b"gAMA", bytes(4)),
        chunk(b"cHRM", nothing),
        chunk(b"gAMA", struct.pack(">I", 50_000)) + chunk(b"cHRM", bytes(32)),
        chunk(b"cICP", bytes([2, 2, 0, 1])),
        chunk(b"cICP", bytes([1, 8, 1, 1])),  # of YCbCr, which no PNG holds
    ):
        np.testing.assert_array_equal(read_upload(in_png(wide, extra), "a"), noise())


def refused():
    deep = np.full((4, 4), 300, np.uint16)
    wide = noise().astype(int) * 257
    pq = chunk(b"cICP", bytes([9, 16, 0, 1]))
    unknown = chunk(b"cICP", bytes([1, 11, 0, 1]))
    narrow = chunk(b"cICP", bytes([1, 13, 0, 0]))
    size = {256: (4,), 257: (4,), 277: (1,), 278: (4,)}
    return {
        "PQ": (in_png(wide, pq), "high dynamic range"),
        "unknown transfer": (in_png(wide, unknown), r"primaries 1, transfer 11\); save it as sRGB"),
        "narrow range": (in_png(wide, narrow), "narrow range; save"),
        "Lab in JPEG 2000": (
            saved(GREEN, "JPEG2000").replace(b"colr\1\0\0\0\0\0\x10", b"colr\1\0\0\0\0\0\x0e"),
            r"not known \(14\); save it as sRGB",
        ),
        "raw": (in_tiff(deep, photometric="cfa"), "camera's raw data; develop it"),
        "signed": (in_tiff(deep.astype(np.int16), photometric="minisblack"), "signed values"),
        "32 bits": (in_tiff(deep.astype("u4"), photometric="minisblack"), "32-bit values outside"),
        "YCbCr": (
            tiff({**size, 258: (8,) * 3, 277: (3,), 259: (1,), 262: (6,)}, bytes(24)),
            "YCbCr without JPEG",
        ),
        "inks": (
            tiff({**size, 258: (8,) * 4, 277: (4,), 259: (1,), 262: (5,), 332: (2,)}, bytes(64)),
            "unknown inks; save",
        ),
        "a bomb": (
            tiff({**DEEP_PLANES, 259: (8,)}, zlib.compress(bytes(10**6))),
            "more data than pixels",
        ),
    }


DEEP_PLANES = {256: (4,), 257: (4,), 277: (3,), 278: (12,), 258: (16,) * 3, 262: (2,), 284: (2,)}
REFUSED = refused()


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_not_known_is_refused(kind):
    content, message = REFUSED[kind]
    check_refused(outcome(read_upload, content, "a.tif"), "a.tif", message)


def test_an_absent_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    check_refused(outcome(read_upload, BAD["HEIC of a telephone"][0], "a"), "a", "package pillow-h")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    content = tiff({**DEEP_PLANES, 259: (5,)}, lzw(bytes(96)))
    check_refused(outcome(read_upload, content, "a"), "a", "compression LZW; install the package i")


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


def test_limits(tmp_path, monkeypatch):
    content = saved(noise(), "PNG")
    monkeypatch.setattr(reading, "MOST_PIXELS", 96 * 128)
    monkeypatch.setattr(reading, "MOST_UPLOADED", len(content))
    np.testing.assert_array_equal(read_upload(content, "a.png"), noise())
    monkeypatch.setattr(reading, "MOST_PIXELS", 96 * 128 - 1)
    answer = outcome(lambda: read_rgb(io.BytesIO(content), "a"))
    check_refused(answer, "a", "128x96, at most 12,287 of this kind")
    monkeypatch.setattr(reading, "MOST_UPLOADED", len(content) - 1)
    answer = outcome(read_upload, content, "a.png")
    check_refused(answer, "a.png", f"bytes, at most {len(content) - 1:,} are")
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


def test_square_equals_resizing_the_whole_and_cropping():
    assert square(picture := noise(64, 64), 64) is picture
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
