"""`colorlab colorize` leaves nothing out without a word (defects C1 to C10, D3, D8)."""

from __future__ import annotations

import io
import os
import re
import struct
import sys
import warnings
import zlib
from collections import Counter
from pathlib import Path

import bad_pictures
import numpy as np
import odd_pictures
import picture_table
import pytest
import tifffile
import torch
from odd_pictures import chunk
from PIL import Image, PngImagePlugin
from skimage.color import rgb2lab

from colorlab.__main__ import main
from colorlab.commands import colorize
from colorlab.data import writing
from colorlab.data.reading import read_picture, read_rgb
from colorlab.data.writing import Metadata, Parts, encode, read_metadata, take_apart

RAMP = np.tile(np.arange(64, dtype=np.uint8) * 2 + 60, (48, 1))
IPTC = b"\x1c\x02\x78\x00\x05harbour"[:10]  # caption: "harbo"
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><d tiff:Orientation="6">1900</d></x:xmpmeta>'


def colour(weights: str, *words: object) -> int:
    return main(["colorize", *map(str, words), "--model", weights])


def exif_of_a_camera(turn: int = 6) -> Image.Exif:
    exif = Image.Exif()
    exif.update({271: "Make", 306: "2001:02:03 04:05:06", 274: turn, 33432: "me"})
    exif[34665] = {36867: "1999:12:31 23:59:59", 33437: 2.8, 0xA001: 65535, 0xA002: 64, 0xA003: 48}
    exif[34853] = {1: "N", 2: (53.0, 33.0, 4.0), 3: "E", 4: (9.0, 59.0, 1.0)}
    return exif


def described_jpeg(**settings) -> bytes:
    """EXIF turned by 90 degrees, GPS, IPTC, XMP, 600 dpi."""
    resource = b"8BIM" + struct.pack(">HHI", 0x0404, 0, len(IPTC)) + IPTC
    segment = b"Photoshop 3.0\0" + resource
    extra = b"\xff\xed" + struct.pack(">H", len(segment) + 2) + segment
    told = {"exif": exif_of_a_camera(), "dpi": (600, 600), "xmp": XMP, "extra": extra}
    return odd_pictures.saved(RAMP, "JPEG", quality=95, **told, **settings)


# ---- C1: pages and frames


@pytest.mark.parametrize("name", ["three.tif", "three.webp", "three.gif"])
def test_all_pages_and_frames(name, place, weights, capsys):
    pages = [Image.fromarray(np.roll(RAMP, 20 * i, axis=1)) for i in range(3)]
    more = {} if name.endswith("tif") else {"duration": [100, 200, 300], "lossless": True}
    pages[0].save(place / name, save_all=True, append_images=pages[1:], **more)
    assert colour(weights, place, "-o", place.parent / "out") == 0
    assert "1 of 1 pictures" in capsys.readouterr().out
    (out,) = (place.parent / "out").iterdir()
    assert out.suffix == (".tif" if name.endswith("tif") else ".png")
    before, after = take_apart((place / name).read_bytes()), take_apart(out.read_bytes())
    assert len(after.files) == 3 and after.kind == before.kind
    assert list(after.durations) == more.get("duration", []) == list(before.durations)
    for page, new in zip(pages, after.files, strict=True):
        gray, colors = rgb2lab(np.dstack([page] * 3)), rgb2lab(read_rgb(new()))
        assert np.abs(gray[..., 0] - colors[..., 0]).max() < 1
        assert np.hypot(*colors[..., 1:].mean((0, 1))) > 3


def test_pages_that_a_format_has_no_room_for_are_counted(place, weights, capsys):
    pages = [Image.fromarray(RAMP)] * 3
    pages[0].save(place / "a.tif", save_all=True, append_images=pages[1:])
    assert colour(weights, place / "a.tif", "-o", place.parent / "a.jpg") == 0
    assert "2 further pages, since JPEG holds one picture" in capsys.readouterr().out
    pages[0].save(place / "stereo.mpo", save_all=True, append_images=pages[1:2])
    (place / "stereo.mpo").rename(place / "stereo.jpg")
    assert colour(weights, place / "stereo.jpg", "-o", place.parent / "b.png") == 0
    assert "1 further picture in the file" in capsys.readouterr().out
    assert writing.take_apart((place / "stereo.jpg").read_bytes()).kind == ""


def test_pages_too_large_together(place, weights, monkeypatch, capsys):
    pages = [Image.fromarray(RAMP)] * 3
    pages[0].save(place / "a.tif", save_all=True, append_images=pages[1:])
    monkeypatch.setattr(colorize, "MOST_TOGETHER", 2 * RAMP.size)
    assert colour(weights, place, "-o", place.parent / "out") == 1
    assert "too many pixels in 3 pages together" in capsys.readouterr().out


def animated_png(extra: bytes, bits: int) -> bytes:
    """Two frames of the ramp, as the APNG specification stores them."""
    rows = np.repeat(RAMP.astype(">u2") * 257 if bits == 16 else RAMP, 3, axis=1)
    packed = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    fctl = struct.pack(">5I2H2B", 0, 64, 48, 0, 0, 1, 10, 0, 0)
    chunks = chunk(b"acTL", struct.pack(">2I", 2, 0)) + extra + chunk(b"fcTL", fctl)
    first = odd_pictures.png(64, 48, bits, 2, packed, chunks)
    second = chunk(b"fcTL", b"\0\0\0\1" + fctl[4:]) + chunk(b"fdAT", b"\0\0\0\2" + packed)
    return first[:-12] + second + first[-12:]


def test_frames_keep_their_time_in_every_format():
    pages = [Image.fromarray(np.roll(RAMP, 20 * i, axis=1)).convert("RGB") for i in range(3)]
    for kind in ("GIF", "WEBP", "PNG", "AVIF"):
        timed = {"append_images": pages[1:], "duration": [100, 200, 300], "loop": 0}
        parts = take_apart(odd_pictures.saved(pages[0], kind, save_all=True, **timed))
        pictures = [read_picture(make()) for make in parts.files]
        for other in ("GIF", "WEBP", "PNG", "AVIF"):
            again = take_apart(encode(pictures, [Metadata()] * 3, other, parts)[0])
            assert again.durations == [100, 200, 300] and again.loop == 0, (kind, other)


@pytest.mark.parametrize("declared", ["", "gAMA", "cICP", "sRGB", "iCCP"])
def test_frames_keep_the_colours_that_their_file_declares(declared):
    space = {"": "none", "sRGB": "srgb"}.get(declared, "linear")
    parts = take_apart(animated_png(picture_table.chunks(space, declared, gray=False), 8))
    want = np.rint(255 * picture_table.to_srgb(RAMP[..., None] / 255, space))
    for make in parts.files:
        assert np.abs(read_rgb(make()) - want).max() <= 1
    assert len(parts.files) == 2 and parts.lost == ()


def test_frames_of_an_avif_keep_their_primaries():
    frames = [Image.new("RGB", (32, 32), color) for color in ((29, 240, 66), (200, 30, 30))]
    content = odd_pictures.saved(frames[0], "AVIF", save_all=True, append_images=frames[1:])
    wide = content.replace(b"colrnclx\0\1", b"colrnclx\0\14")  # Display P3
    assert wide != content
    single = odd_pictures.saved(frames[0], "AVIF").replace(b"colrnclx\0\1", b"colrnclx\0\14")
    got = [read_rgb(make()).astype(int) for make in take_apart(wide).files]
    assert np.abs(got[0] - read_rgb(io.BytesIO(single))).max() <= 3
    assert got[1][0, 0, 0] > 205, "more red than sRGB's"


def test_bits_that_are_cut_are_told(place, weights, capsys):
    deep = np.arange(48, dtype=">u2").tobytes()
    colors = np.zeros((48, 64, 3), np.uint8)
    jp2 = odd_pictures.saved(colors, "JPEG2000").replace(b"\0\3\7\1\1", b"\0\3\17\1\1")
    files = {"a.png": animated_png(b"", 16), "a.ppm": b"P6 4 4 65535\n" + deep, "a.jp2": jp2}
    for name, content in files.items():
        assert take_apart(content).lost == ("bits beyond 8",), name
    (place / "a.png").write_bytes(files["a.png"])
    assert colour(weights, place, "-o", place.parent / "out") == 0
    assert "left out: bits beyond 8" in capsys.readouterr().out
    for plain in (b"P6 4 4 255\n" + deep[:48], b"P5 4 4 65535\n" + deep[:32]):
        assert take_apart(plain).lost == ()
    for kind in ("JPEG2000", "AVIF", "PNG", "WEBP"):
        assert take_apart(odd_pictures.saved(colors, kind)).lost == ()


@pytest.mark.parametrize("kind", ["GIF", "TIFF"])
def test_a_file_cut_short_after_its_first_picture_fails(kind, place, weights, capsys):
    pages = [Image.fromarray(np.roll(RAMP, 20 * i, axis=1)) for i in range(3)]
    whole = odd_pictures.saved(pages[0], kind, save_all=True, append_images=pages[1:])
    (place / "a.png").write_bytes(whole[: len(whole) * 4 // 5])
    assert colour(weights, place, "-o", place.parent / "out") == 1
    assert "cut short or damaged" in capsys.readouterr().out
    assert not (place.parent / "out").exists()


# ---- C2 to C6: what is found, and under which name


def test_heic_without_its_reader_is_named(place, weights, monkeypatch, capsys):  # C2
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    Image.fromarray(RAMP).save(place / "a.jpg")
    (place / "b.HEIC").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(99))
    assert colour(weights, place, "-o", place.parent / "out") == 1
    told = capsys.readouterr().out
    assert "1 of 2 pictures" in told and "b.HEIC" in told and "install the package" in told


def test_heic_is_read_where_its_reader_is(place, weights):  # C2
    heif = pytest.importorskip("pillow_heif")
    heif.register_heif_opener()
    Image.fromarray(np.dstack([RAMP] * 3)).save(place / "b.heic", quality=95)
    assert colour(weights, place, "-o", place.parent / "out") == 0
    assert read_rgb(place.parent / "out" / "b.png").shape == (48, 64, 3)


def test_a_tree_is_mirrored(place, weights, capsys):  # C3
    (place / "1901" / "may").mkdir(parents=True)
    (place / ".hidden").mkdir()
    for name in ("1901/may/a.png", "1901/may/b.jpg", ".hidden/c.png", "1901/._a.png"):
        Image.fromarray(RAMP).save(place / name)
    (place / "1901" / "list.txt").write_text("names")
    out = place / "colored"  # inside: its answers are no inputs of a second run
    for _ in range(2):
        assert colour(weights, place, "-o", out, "--overwrite") == 0
        told = capsys.readouterr().out
        assert "2 of 2 pictures" in told
    found = [file.relative_to(out).as_posix() for file in out.rglob("*.*")]
    assert sorted(found) == ["1901/may/a.png", "1901/may/b.png"]
    assert "list.txt" in told and "not a kind of picture" in told
    assert "2 hidden files or folders" in told and "the folder of the answers" in told
    assert colour(weights, place, "-o", place) == 2, "the answers would be inputs"


def test_an_empty_folder_stops_no_other(place, weights, capsys):
    (place / "empty").mkdir()
    (place / "empty" / "film.mov").write_bytes(b"other")
    (place / "full").mkdir()
    Image.fromarray(RAMP).save(place / "full" / "a.png")
    out = place.parent / "out"
    assert colour(weights, place / "empty", place / "full", "-o", out) == 0
    told = capsys.readouterr().out
    assert "1 of 1 pictures" in told and "film.mov  not a kind of picture" in told
    assert re.search(r"left out .*empty +holds no pictures \(.avif", told)
    assert colour(weights, place / "empty", "-o", out) == 2
    assert "empty holds no pictures (.avif" in capsys.readouterr().err


def test_a_folder_is_not_named_like_a_picture(place, weights, capsys):
    for name in "ab":
        Image.fromarray(RAMP).save(place / f"{name}.png")
    assert colour(weights, place, "-o", place.parent / "out.jpg") == 2
    assert "out.jpg is no folder; name one for several pictures" in capsys.readouterr().err
    (place.parent / "out.jpg").mkdir()
    assert colour(weights, place, "-o", place.parent / "out.jpg") == 0


def test_what_a_format_cannot_hold_fails_with_a_remedy(place, weights, capsys):
    Image.new("L", (17_000, 1)).save(place / "wide.png")
    assert colour(weights, place / "wide.png", "-o", place.parent / "wide.webp") == 1
    assert "cannot be written as WEBP" in (told := capsys.readouterr().out)
    assert "; choose another --format" in told and not (place.parent / "wide.webp").exists()


def test_resume_skips_what_is_finished_and_whole(place, weights, capsys):  # C4
    for name in "abcd":
        Image.fromarray(RAMP).save(place / f"{name}.png")
    out = place.parent / "out"
    assert colour(weights, place, "-o", out) == 0
    whole = {file.name: file.read_bytes() for file in out.iterdir()}
    assert colour(weights, place, "-o", out) == 2
    assert "add --resume" in capsys.readouterr().err
    (out / "a.png").unlink()
    (out / "b.png").write_bytes(whole["b.png"][:-20])
    os.utime(out / "c.png", (0, 0))  # older than the picture
    os.utime(out / "d.png", (2e9, 2e9))
    assert colour(weights, place, "-o", out, "--resume") == 0
    assert "3 of 4 pictures coloured, 1 more by an earlier run" in capsys.readouterr().out
    assert {file.name: file.read_bytes() for file in out.iterdir()} == whole
    assert os.path.getmtime(out / "d.png") == 2e9


def test_equal_stems_become_distinct_answers(place, weights):  # C5
    for name in ("scan001.jpg", "scan001.bmp", "scan001.tif"):
        Image.fromarray(RAMP).save(place / name)
    assert colour(weights, place, "-o", place.parent / "out") == 0
    names = sorted(os.listdir(place.parent / "out"))
    assert names == ["scan001.bmp.png", "scan001.jpg.png", "scan001.tif"]
    assert colour(weights, place, "--format", "jpg", "--quality", "30") == 0
    beside = sorted(file.name for file in place.glob("*-colored*"))
    assert beside == [f"scan001.{kind}-colored.jpg" for kind in ("bmp", "jpg", "tif")]


def test_patterns_are_expanded(place, weights, monkeypatch, capsys):  # C6
    monkeypatch.chdir(place.parent)
    for name in ("a.png", "b.png", "c.jpg", "[odd].png"):
        Image.fromarray(RAMP).save(place / name)
    assert colour(weights, "in/*.png", "-o", "out") == 0
    assert sorted(os.listdir("out")) == ["[odd].png", "a.png", "b.png"]
    assert colour(weights, "in/[odd].png", "-o", "one.png") == 0, "the name itself comes first"
    assert colour(weights, "in/*.xyz", "-o", "none") == 2
    assert "*.xyz does not exist" in capsys.readouterr().err


def test_answers_beside_their_pictures_are_no_inputs(place, weights, capsys):
    for name in ("a.png", "b-colored.png"):
        Image.fromarray(RAMP).save(place / name)
    assert colour(weights, place) == 0
    capsys.readouterr()
    assert colour(weights, place, "--overwrite") == 0
    told = capsys.readouterr().out
    assert "2 of 2 pictures" in told and told.count("the answer to another picture") == 2
    expected = ["a-colored.png", "a.png", "b-colored-colored.png", "b-colored.png"]
    assert sorted(os.listdir(place)) == expected


# ---- C7 to C10: what is kept


@pytest.mark.parametrize("kind", ["jpg", "png", "tif", "webp", "avif"])
def test_metadata_is_kept_and_put_right(kind, place, weights, capsys):  # C7
    (place / "a.jpg").write_bytes(described_jpeg())
    out = place.parent / f"a.{kind}"
    assert colour(weights, place / "a.jpg", "-o", out) == 0
    lost = [line for line in capsys.readouterr().out.splitlines() if line.startswith("coloured")]
    with Image.open(out) as image:
        assert image.size == (48, 64), "upright"
        assert image.info["icc_profile"] == writing.srgb_profile()
        assert image.getexif().get(274, 1) == 1
        inner = image.getexif().get_ifd(34665)
        assert inner[36867] == "1999:12:31 23:59:59" and float(inner[33437]) == 2.8
        assert (inner[0xA001], inner[0xA002], inner[0xA003]) == (1, 48, 64), "sRGB, and the size"
    told = read_metadata(out.read_bytes())
    assert told.exif[271] == "Make" and told.exif[306] == "2001:02:03 04:05:06"
    assert told.exif[34853] == {1: "N", 2: (53.0, 33.0, 4.0), 3: "E", 4: (9.0, 59.0, 1.0)}
    assert told.xmp == XMP.replace(b'"6"', b'"1"')
    assert told.resolution == pytest.approx((600, 600), abs=0.01)
    if kind in ("webp", "avif"):
        assert len(lost) == 1 and f"IPTC, since {kind.upper()} has no room" in lost[0]
    else:
        assert told.iptc == IPTC and not lost


ONE = Parts("", [])


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP", "AVIF"])
def test_texts_in_any_alphabet_are_kept(kind):
    exif = Image.Exif()
    texts = ["Zoë ©".encode(), "Café".encode("latin-1"), "港".encode()]
    exif.update({315: texts[0], 270: texts[1], 34665: {0xA430: texts[2]}})
    picture = read_picture(io.BytesIO(odd_pictures.saved(RAMP, "PNG")))
    told = read_metadata(odd_pictures.saved(RAMP, "JPEG", exif=exif))
    for _ in range(2):
        file, lost = encode([picture], [told], kind, ONE)
        assert not lost and all(text + b"\0" in file or text in file for text in texts)
        told = read_metadata(file)


def test_broken_metadata_costs_no_picture(place, weights, capsys):
    segments = b"Exif\0\0MM\0*\xff\xff\xff\xff", b"Exif\0\0II*\0\x08\0\0\0\x02\0\x0f\x01"
    for i, segment in enumerate(segments):
        file = odd_pictures.with_segment(odd_pictures.saved(RAMP, "JPEG"), segment)
        (place / f"{i}.jpg").write_bytes(file)
    assert colour(weights, place, "-o", place.parent / "out") == 0
    told = capsys.readouterr().out
    assert told.count("left out: a part of EXIF, which cannot be read") == 2
    assert read_metadata(b"no picture") == Metadata(damaged=("metadata",))


@pytest.mark.parametrize(
    ("unit", "want"), [(1, None), (2, (100, 50)), (3, (254, 127)), (None, (100, 50)), (9, None)]
)
def test_the_resolution_has_the_unit_that_the_file_tells(unit, want):
    exif = Image.Exif()
    exif.update({282: 100.0, 283: 50.0} | ({} if unit is None else {296: unit}))
    for kind in ("JPEG", "TIFF", "WEBP", "PNG"):
        told = read_metadata(odd_pictures.saved(RAMP, kind, exif=exif)).resolution
        assert told == (None if want is None else pytest.approx(want)), kind
    picture = read_picture(io.BytesIO(odd_pictures.saved(RAMP, "PNG")))
    for kind in writing.HOLDS:
        file, _ = encode([picture], [Metadata()], kind, ONE)
        assert read_metadata(file).resolution is None, "none is invented"
    only_one = Image.Exif()
    only_one.update({283: 50.0, 296: 2, 271: "Make"})
    for kind in ("JPEG", "TIFF"):
        assert read_metadata(odd_pictures.saved(RAMP, kind, exif=only_one)).resolution is None


def test_pages_keep_their_names():
    files = []
    for i in range(2):
        tags = Image.Exif()
        tags.update({269: "parish register", 285: f"folio {i}", 297: (i, 2)})
        files.append(odd_pictures.saved(RAMP, "TIFF", exif=tags))
    metadata = [read_metadata(file) for file in files]
    pictures = [read_picture(io.BytesIO(file)) for file in files]
    file, _ = encode(pictures, metadata, "TIFF", ONE)
    with tifffile.TiffFile(io.BytesIO(file)) as pages:
        told = [[page.tags[tag].value for tag in (269, 285, 297)] for page in pages.pages]
    assert told == [["parish register", f"folio {i}", (i, 2)] for i in range(2)]


def test_what_is_too_long_for_a_jpeg_is_told():
    picture = read_picture(io.BytesIO(odd_pictures.saved(RAMP, "PNG")))
    told = Metadata(texts={"Comment": "x" * 70_000}, resolution=(70_000, 70_000))
    file, lost = encode([picture], [told], "JPEG", ONE)
    assert lost == ["resolution, texts, since JPEG has no room for it"]
    assert read_metadata(file).texts == {} and read_metadata(file).resolution is None
    kept = encode([picture], [told], "PNG", ONE)
    assert read_metadata(kept[0]).texts == told.texts and not kept[1]


@pytest.mark.parametrize("numbers", [False, True])
@pytest.mark.parametrize("big", [False, True])
def test_metadata_of_a_tiff_that_pil_does_not_decode(big, numbers):
    iptc = np.frombuffer(IPTC.ljust(12, b"\0"), "<u4").tolist()
    extra = [
        (33723, "I", 3, iptc, True) if numbers else (33723, "B", 12, IPTC.ljust(12, b"\0"), True),
        (700, "B", len(XMP), XMP, True),
        (271, "s", 0, "Make", True),
    ]
    buffer = io.BytesIO()
    options = {"photometric": "rgb", "planarconfig": "separate", "extrasamples": [0]}
    with tifffile.TiffWriter(buffer, bigtiff=big) as file:
        resolution = {"resolution": (100, 50), "resolutionunit": 3}
        planes = np.zeros((4, 48, 64), np.uint8)
        file.write(planes, metadata=None, extratags=extra, **options, **resolution)
    with pytest.raises(Image.UnidentifiedImageError):
        Image.open(buffer)
    told = read_metadata(buffer.getvalue())
    assert told.damaged == () and told.exif == {271: "Make", 305: "tifffile.py"}
    assert told.iptc == IPTC.ljust(12, b"\0") and told.xmp == XMP.replace(b'"6"', b'"1"')
    assert told.resolution == pytest.approx((254, 127))


def test_all_comments_of_a_jpeg_are_kept_and_xmp_that_goes_on_elsewhere_is_told():
    xmp = b'<x xmpNote:HasExtendedXMP="5A"/>'
    jpeg = odd_pictures.saved(RAMP, "JPEG", xmp=xmp)
    comments = [b"\xff\xfe" + struct.pack(">H", len(c) + 2) + c for c in (b"one", b"two")]
    told = read_metadata(jpeg[:2] + b"".join(comments) + jpeg[2:])
    assert told.texts == {"Comment": "one\ntwo"}
    for comment in ("früh".encode(), "früh".encode("latin-1")):
        file = odd_pictures.saved(RAMP, "JPEG", comment=comment)
        assert read_metadata(file).texts == {"Comment": "früh"}
    assert told.xmp == xmp and told.damaged == ("a part of XMP",)


def test_texts_of_a_png_are_kept(place, weights):
    texts = PngImagePlugin.PngInfo()
    texts.add_itxt("Title", "Hafen, früh")
    Image.fromarray(RAMP).save(place / "a.png", pnginfo=texts)
    assert colour(weights, place / "a.png", "-o", place.parent / "a.png") == 0
    assert Image.open(place.parent / "a.png").text["Title"] == "Hafen, früh"


def test_jpeg_is_fine_unless_told(place, weights, capsys):  # C8
    Image.fromarray(RAMP).save(place / "a.png")
    sizes = []
    for words in ([], ["--quality", 95], ["--quality", 40]):
        out = place.parent / f"{len(sizes)}.jpg"
        assert colour(weights, place / "a.png", "-o", out, *words) == 0
        sizes.append(out.read_bytes())
        with Image.open(out) as image:
            assert [layer[1:3] for layer in image.layer] == [(1, 1)] * 3, "4:4:4"
    assert sizes[0] == sizes[1] and len(sizes[2]) < len(sizes[0])
    for wrong, why in ((["--quality", 0], "must be 1 to 100"), (["--quality", 9], "is for JPEG")):
        assert colour(weights, place / "a.png", "-o", place.parent / "q.png", *wrong) == 2
        assert why in capsys.readouterr().err
    assert colour(weights, place / "a.png", "-o", place.parent / "a.gif") == 0
    assert "all but 256 colours" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["png", "tif", "webp", "jp2", "gif"])
def test_transparency_is_kept(kind, place, weights, capsys):  # C9
    alpha = np.where(np.arange(64) < 20, 0, 255).astype(np.uint8) + np.zeros((48, 1), np.uint8)
    Image.fromarray(np.dstack([RAMP, alpha])).save(place / "cut.png")
    assert colour(weights, place / "cut.png", "-o", place.parent / f"cut.{kind}") == 0
    assert np.array_equal(read_picture(place.parent / f"cut.{kind}").alpha, alpha)
    assert colour(weights, place / "cut.png", "-o", place.parent / "cut.jpg") == 0
    assert "transparency (white instead), since JPEG" in capsys.readouterr().out
    assert read_rgb(place.parent / "cut.jpg")[:, :16].min() > 250


@pytest.mark.parametrize("kind", ["png", "tif"])
def test_16_bits_are_kept(kind, place, weights, capsys):  # C10
    deep = np.linspace(9000, 52000, 48 * 64).reshape(48, 64).astype(np.uint16)
    file = place / f"deep.{kind}"
    Image.fromarray(deep).save(file)
    assert colour(weights, file, "-o", place.parent / f"out.{kind}") == 0
    assert "8 of 16" not in capsys.readouterr().out
    answer = read_picture(place.parent / f"out.{kind}").rgb
    assert answer.dtype == np.uint16
    L = rgb2lab(answer / 65535)[..., 0]
    want = rgb2lab(np.dstack([deep / 65535] * 3))[..., 0]
    assert np.abs(L - want).max() < 0.005, "a step of 8 bits is 0.4"
    assert colour(weights, file, "-o", place.parent / "out.jpg") == 0
    assert "8 of 16 bits, since JPEG holds no more" in capsys.readouterr().out


# ---- D3 and D8


@pytest.mark.parametrize("device", ["mps", "gpu", "cuda", "nonsense", "meta"])
def test_a_device_that_is_not_there(device, place, weights, capsys):
    if device == "cuda" and torch.cuda.is_available():
        pytest.skip("there is one")
    Image.fromarray(RAMP).save(place / "a.png")
    assert colour(weights, place, "-o", place.parent / "out", "--device", device) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"colorlab: --device {device}: no such device") and len(told) < 150
    assert told.count("\n") == 1


# ---- all together


TREE = int(os.environ.get("COLORLAB_TREE", "64"))
"""Files in the tree; with 200 the test below takes three times as long."""


SUFFIX = (".png", ".tif", ".jpg")


def mixed_tree(root: Path, count: int) -> int:
    """Files of every kind in three folders, a quarter of them broken, a pipe and a link to nothing.

    Returns how many of the ``count`` + 2 cannot be read.
    """
    odd = [one.content for one in odd_pictures.pictures().values()]
    pages = [Image.fromarray(np.roll(RAMP, 20 * i, axis=1)) for i in range(3)]
    several = {"save_all": True, "append_images": pages[1:]}
    odd += [odd_pictures.saved(pages[0], kind, **several) for kind in ("TIFF", "WEBP", "GIF")]
    odd += [animated_png(b"", 8), described_jpeg()]
    deep = np.arange(48 * 64, dtype=np.uint16).reshape(48, 64) * 16 + 9000
    odd += [odd_pictures.saved(deep, kind) for kind in ("PNG", "TIFF")]
    whole = odd_pictures.saved(RAMP, "PNG")
    broken = [content for content, _ in bad_pictures.no_pictures().values()]
    broken[1::4] = [content for content, _ in bad_pictures.bombs().values()][: len(broken[1::4])]
    halves = [content[: len(content) // 2] for content in odd if b"ftypmp42" not in content]
    broken += [content for content in halves if len(content) > 300]
    contents = []
    for i in range(count):
        if i % 4 == 3:
            contents.append(broken[i // 4] if i // 4 < len(broken) else whole[: 20 + i // 4])
        elif i % 2:
            contents.append(odd[i // 4 % len(odd)])
        else:
            contents.append(odd_pictures.saved(np.roll(RAMP, i, axis=1), "PNG"))
    for i, content in enumerate(contents):
        folder = root / ("", "b", "b/c d")[i % 3]
        folder.mkdir(exist_ok=True)
        line = "\n" if i % 8 == 3 else ""
        (folder / f"{i:03}{line}{SUFFIX[i % 7 % 3]}").write_bytes(content)
    os.mkfifo(root / "pipe.png")
    (root / "gone.png").symlink_to("nowhere")
    for name in ("x.txt", "b/y.mov", "b/c d/z.doc", "b/.DS_Store"):
        (root / name).write_bytes(b"other")
    return count // 4 + 2


def test_a_mixed_tree_stopped_in_the_middle_gives_the_same_bytes(
    place, weights, monkeypatch, capsys
):
    broken, total = mixed_tree(place, TREE), TREE + 2
    whole = total - broken

    def answers(out: Path) -> dict[str, bytes]:
        return {str(f.relative_to(out)): f.read_bytes() for f in out.rglob("*") if f.is_file()}

    first, second = place.parent / "first", place.parent / "second"
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # PIL's warnings do not name the file
        assert colour(weights, place, "-o", first) == 1
    told = capsys.readouterr().out.splitlines()
    assert told[0].startswith(f"{whole} of {total} pictures coloured")
    failed = [line for line in told if line.startswith("failed")]
    assert all(line.count(str(place)) == 1 and "; " in line for line in failed), "file and remedy"
    outcomes = Counter(line.split()[0] for line in told[1:])
    assert outcomes["failed"] == broken and outcomes["left"] == 4
    assert len(answers(first)) == whole

    real, left = os.replace, [whole // 2 + 1]

    def stop(*args):
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(os, "replace", stop)
    assert colour(weights, place, "-o", second) == 130
    told = capsys.readouterr().out
    assert f"{whole // 2} of {total}" in told and "add --resume to go on" in told
    monkeypatch.undo()
    assert colour(weights, place, "-o", second, "--resume") == 1
    told = capsys.readouterr().out
    assert f"{whole - whole // 2} of {total} pictures coloured, {whole // 2} more" in told
    assert answers(second) == answers(first)
