"""Archives that climb out, burst, lie or are damaged: refused in words, nothing outside written."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import struct
import warnings
import zipfile

import numpy as np
import pytest
from lying_server import serving
from PIL import Image

from colorlab.data import coco
from colorlab.data.coco import Archive, download_coco
from colorlab.files import locked

GROUP = "downloads"
COUNTS = {"test": 1, "val": 1, "train": 4}


def jpeg(seed: int) -> bytes:
    cells = np.random.default_rng(seed).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    picture = Image.fromarray(cells).resize((320, 240), Image.Resampling.BICUBIC)
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=90)
    return stream.getvalue()


def archive(extra=(), **options) -> bytes:
    """Six good pictures and some other members, (name or ZipInfo, bytes)."""
    stream = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(stream, "w", **options) as zipped:
        warnings.filterwarnings("ignore", "Duplicate name")
        for i in range(6):
            zipped.writestr(f"val/{i}.jpg", jpeg(i))
        for name, content in extra:
            zipped.writestr(name, content)
    return stream.getvalue()


def link(name: str, target: str) -> tuple[zipfile.ZipInfo, str]:
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    return info, target


def patched(content: bytes, name: bytes, at: int, form: str, value: int) -> bytes:
    """A field of the member's entry in the central directory, and nowhere else, replaced."""
    start = content.rindex(name) - 46
    assert content[start : start + 4] == b"PK\1\2"
    size = struct.calcsize(form)
    return content[: start + at] + struct.pack(form, value) + content[start + at + size :]


def build(folder, content: bytes) -> dict[str, int]:
    """The set of an archive that is there already; images in each split."""
    out = folder / "out"
    out.mkdir(exist_ok=True)
    (out / "set.zip").write_bytes(content)
    known = Archive("http://nowhere/set.zip", hashlib.sha256(content).hexdigest(), len(content))
    download_coco(out, known, COUNTS, size=64)
    return {split: len(list((out / split).iterdir())) for split in COUNTS}


BOMB = archive([("val/bomb.jpg", b"\0" * 5_000_000)], compression=zipfile.ZIP_DEFLATED)
GOOD = archive()
HARMFUL = {
    "climbs out": (archive([("../evil.jpg", jpeg(9))]), "unsafe member"),
    "climbs out in the middle": (archive([("a/../../evil.jpg", jpeg(9))]), "unsafe member"),
    "an absolute path": (archive([("/evil.jpg", jpeg(9))]), "unsafe member"),
    "a drive of Windows": (archive([("C:\\evil.jpg", jpeg(9))]), "unsafe member"),
    "climbs out with backslashes": (archive([("..\\evil.jpg", jpeg(9))]), "unsafe member"),
    "one name twice": (archive([("val/0.jpg", jpeg(9))]), "two pictures named '0.jpg'"),
    "one name in two folders": (archive([("other/0.jpg", jpeg(9))]), "two pictures named"),
    "a bomb that tells its size": (BOMB, "unpacks to too many bytes"),
    "a bomb that tells another size": (
        patched(BOMB, b"val/bomb.jpg", 24, "<I", 1000),
        "not a whole zip file",
    ),
    "encrypted": (patched(GOOD, b"val/3.jpg", 8, "<H", 1), "is encrypted"),
    "an unknown compression": (patched(GOOD, b"val/3.jpg", 10, "<H", 99), "not a whole zip"),
    "a wrong checksum": (patched(GOOD, b"val/3.jpg", 16, "<I", 7), "not a whole zip file"),
    "a member past the end": (patched(GOOD, b"val/3.jpg", 42, "<I", 2**31), "not a whole zip"),
    "no archive": (b"<html>Sign in to this network</html>", "not a whole zip file"),
    "empty": (b"", "not a whole zip file"),
    "cut": (GOOD[: len(GOOD) // 2], "not a whole zip file"),
}


@pytest.mark.parametrize("kind", HARMFUL)
def test_a_harmful_archive_is_refused_and_writes_nothing_outside(
    fault, tmp_path, kind, monkeypatch
):
    monkeypatch.setattr(coco, "MAX_MEMBER", 1_000_000)
    content, told = HARMFUL[kind]
    inside = tmp_path / "a" / "b"
    inside.mkdir(parents=True)
    with fault(GROUP, f"archive: {kind}"):
        with pytest.raises(ValueError, match=told) as raised:
            build(inside, content)
        assert "set.zip" in str(raised.value) and "\n" not in str(raised.value)
        assert not coco.is_complete(inside / "out")
        assert not list(tmp_path.rglob("evil*")) and os.listdir(tmp_path) == ["a"]


def test_links_in_an_archive_are_bytes_like_others(fault, tmp_path):
    content = archive([link("val/x.jpg", "/etc/passwd"), link("val/y.jpg", "../../set.zip")])
    with fault(GROUP, "archive: links"):
        assert build(tmp_path, content) == COUNTS
        assert not any(path.is_symlink() for path in tmp_path.rglob("*"))


def test_an_archive_damaged_anywhere_never_gives_another_set(fault, tmp_path):
    """A bit flipped: the same pictures, or an error in words."""
    build(tmp_path, GOOD)
    want = {p.name: p.read_bytes() for p in (tmp_path / "out").rglob("*.png")}
    random = np.random.default_rng(0)
    told = 0
    for number, at in enumerate(random.integers(0, len(GOOD), 40)):
        flipped = GOOD[:at] + bytes([GOOD[at] ^ 1 << random.integers(8)]) + GOOD[at + 1 :]
        folder = tmp_path / str(number)
        folder.mkdir()
        with fault(GROUP, "archive: a bit flipped"):
            try:
                build(folder, flipped)
            except ValueError as error:
                message = str(error)
            else:
                got = {p.name: p.read_bytes() for p in (folder / "out").rglob("*.png")}
                assert got.items() <= want.items()
                continue
            assert "set.zip" in message and "\n" not in message
            told += 1
    assert told > 20


def test_a_damaged_manifest_or_two_runs_at_once(fault, tmp_path):
    with serving(GOOD) as server:
        known = Archive(server.url(), hashlib.sha256(GOOD).hexdigest(), len(GOOD))
        out = download_coco(tmp_path / "out", known, COUNTS, size=64)
        want = (out / "manifest.csv").read_bytes()
        for damage in (b"", b"split\n", b"a,b\n1,2\n", want[:-20], b"\xff\xfe", b"split,file\n\0"):
            with fault(GROUP, "a damaged manifest"):
                (out / "manifest.csv").write_bytes(damage)
                assert not coco.is_complete(out) or damage == want[:-20]
                download_coco(out, known, COUNTS, size=64)
        with fault(GROUP, "two downloads into one folder"):
            (out / "manifest.csv").unlink()
            with (
                locked(out / "in-use"),
                pytest.raises(BlockingIOError, match=f"in use by process {os.getpid()}"),
            ):
                download_coco(out, known, COUNTS, size=64)
            download_coco(out, known, COUNTS, size=64)
            assert (out / "manifest.csv").read_bytes() == want
