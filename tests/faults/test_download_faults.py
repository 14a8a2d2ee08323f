"""Downloads from servers that cut, stall, lie and refuse, and archives that do harm."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import stat
import struct
import subprocess
import sys
import time
import warnings
import zipfile

import numpy as np
import pytest
from lying_server import serving
from PIL import Image

from colorlab.data import fetch as fetching
from colorlab.data import splits
from colorlab.data.download import download_coco
from colorlab.data.fetch import Archive, DownloadError, fetch
from colorlab.files import locked

GROUP = "downloads"
BYTES = np.random.default_rng(0).bytes(700_000)
SHA256 = hashlib.sha256(BYTES).hexdigest()
COUNTS = {"test": 1, "val": 1, "train": 4}


@pytest.fixture(autouse=True)
def bars(monkeypatch) -> list:
    """Progress bars that keep what they were told."""
    kept = []

    class Bar:
        def __init__(self, total, initial, **_):
            self.total, self.n = total, initial
            kept.append(self)

        def __enter__(self):
            return self

        def __exit__(self, *raised):
            pass

        def update(self, more):
            self.n += more

    monkeypatch.setattr(fetching, "tqdm", Bar)
    return kept


def get(server, folder, size=len(BYTES), **options):
    options = {"timeout": 20, "tries": 3, "pause": 0.001, **options}
    return fetch(Archive(server.url(), SHA256, size), folder, **options)


SURVIVED = {
    "cut again and again": {"cuts": [100_000, 1, 0, 300_000]},
    "stalled": {"cuts": [300_000, 0], "stalls": 2},
    "busy, then fine": {"statuses": [500, 503]},
    "busy in the middle": {"cuts": [50_000, 50_000], "statuses": [200, 502, 200, 429]},
    "ranges ignored": {"ranges": False, "cuts": [100_000, 200_000]},
    "another range than asked for": {"first": "wrong", "cuts": [100_000, None, 50_000]},
    "a length that is none": {"length": "text"},
    "no length": {"length": "none"},
}


@pytest.mark.parametrize("size", [len(BYTES), None], ids=["size known", "size unknown"])
@pytest.mark.parametrize("kind", SURVIVED)
def test_the_whole_file_arrives_all_the_same(fault, tmp_path, bars, kind, size):
    with fault(GROUP, kind), serving(BYTES, **SURVIVED[kind]) as server:
        timeout = 0.5 if kind == "stalled" else 20
        assert get(server, tmp_path, size, timeout=timeout, tries=4).read_bytes() == BYTES
        assert os.listdir(tmp_path) == ["set.zip"]
        for bar in bars:
            assert bar.n <= len(BYTES) and bar.total in (len(BYTES), None), "progress is true"
        assert bars[-1].n == len(BYTES)


REFUSED = {
    "too short an offer": ({"length": -5}, "offers 699,995 bytes, want 700,000"),
    "too long an offer": ({"length": 5}, "offers 700,005 bytes, want 700,000"),
    "gone": ({"statuses": [404]}, "answers 404"),
    "forbidden": ({"statuses": [403]}, "answers 403"),
    "always busy": ({"statuses": [503] * 9}, "503.*it resumes"),
    "no web server": ({"garbage": b"SSH-2.0-OpenSSH\r\n"}, "it resumes"),
    "an endless header": ({"garbage": b"HTTP/1.0 200 OK\r\nX: " + b"a" * 70_000}, "it resumes"),
    "many headers": ({"garbage": b"HTTP/1.0 200 OK\r\n" + b"X: a\r\n" * 200}, "it resumes"),
    "cut short each time anew": (
        {"ranges": False, "cuts": [1000, 10] * 20},
        "cut after .*it resumes",
    ),
    "redirected to a file": ({"location": "file:///etc/passwd"}, "not allowed|not http"),
    "redirected to ftp": ({"location": "ftp://127.0.0.1/set.zip"}, "not http or https"),
    "redirected to data": ({"location": "data:text/plain,x"}, "not allowed|not http"),
    "redirected to itself": ({"location": "/again"}, "answers 302"),
    "redirected nowhere": ({"location": "http://[::1"}, "leads to no address"),
    "more than was told": ({"length": "none", "endless": True}, "sends more than 700,000"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_fetched_is_refused_and_never_used(fault, tmp_path, bars, kind):
    faults, told = REFUSED[kind]
    with fault(GROUP, kind), serving(BYTES, **faults) as server:
        with pytest.raises(DownloadError, match=told) as raised:
            get(server, tmp_path)
        assert "\n" not in str(raised.value)
        assert server.url() in str(raised.value)
        assert not (tmp_path / "set.zip").exists()
        assert all(bar.n <= len(BYTES) for bar in bars), "progress is true"
    with fault(GROUP, "a good server after a bad one"), serving(BYTES) as server:
        try:
            get(server, tmp_path)
        except DownloadError as error:  # bytes of the bad one were kept; they go at once
            message = str(error)
            assert "wrong SHA-256" in message
            get(server, tmp_path)
        assert (tmp_path / "set.zip").read_bytes() == BYTES


def test_wrong_bytes_of_the_right_length(fault, tmp_path):
    wrong = BYTES[:-1] + bytes([BYTES[-1] ^ 1])
    for size in (len(BYTES), None):
        with fault(GROUP, "wrong bytes of the right length"), serving(wrong) as server:
            with pytest.raises(DownloadError, match="wrong SHA-256"):
                get(server, tmp_path, size)
            assert os.listdir(tmp_path) == []


def test_a_length_that_nobody_tells_has_a_limit(fault, tmp_path, monkeypatch):
    monkeypatch.setattr(fetching, "LARGEST", 2_000_000)
    faults = {"length": "none", "endless": True}
    with fault(GROUP, "bytes without end"), serving(BYTES, **faults) as server:
        with pytest.raises(DownloadError, match="sends more than 2,000,000 bytes"):
            get(server, tmp_path, size=None)
        assert sum(p.stat().st_size for p in tmp_path.iterdir()) <= 2_000_000
    with (
        fault(GROUP, "a cut that looks like the end"),
        serving(BYTES, length="none", cuts=[1000]) as server,
    ):
        with pytest.raises(DownloadError, match="wrong SHA-256"):
            get(server, tmp_path, size=None)
        assert os.listdir(tmp_path) == []


def test_a_disk_that_fills_up(fault, tmp_path, monkeypatch):
    class Full:
        def __init__(self, path, mode):
            self.file, self.room = open(path, mode), 300_000  # noqa: SIM115

        def __enter__(self):
            return self

        def __exit__(self, *raised):
            self.file.close()

        def write(self, data):
            if self.room < len(data):
                self.file.write(data[: self.room])
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self.room -= len(data)
            self.file.write(data)

    with fault(GROUP, "disk full"), serving(BYTES) as server:
        with monkeypatch.context() as patch:
            patch.setattr(fetching, "open", Full, raising=False)
            with pytest.raises(DownloadError, match=r"is full after 300,000 bytes .*it resumes"):
                get(server, tmp_path)
        assert get(server, tmp_path).read_bytes() == BYTES
        assert server.requests == [None, "bytes=300000-"]
    usage = fetching.shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(fetching.shutil, "disk_usage", lambda _: usage)
    (tmp_path / "set.zip").unlink()
    with fault(GROUP, "disk too small for what the server tells"), serving(BYTES) as server:
        with pytest.raises(DownloadError, match="MB free and"):
            get(server, tmp_path, size=None)
        assert os.listdir(tmp_path) == []


FETCH = """
import sys
from pathlib import Path
from colorlab.data.fetch import Archive, fetch
fetch(Archive(sys.argv[1], sys.argv[2], int(sys.argv[3])), Path(sys.argv[4]), timeout=60)
"""


def test_a_download_that_is_killed_goes_on(fault, tmp_path):
    with fault(GROUP, "killed"), serving(BYTES, cuts=[400_000], stalls=1) as server:
        words = [server.url(), SHA256, str(len(BYTES)), str(tmp_path)]
        process = subprocess.Popen([sys.executable, "-c", FETCH, *words], stderr=subprocess.DEVNULL)
        part = tmp_path / "set.zip.part"
        while process.poll() is None and not (part.exists() and part.stat().st_size):
            time.sleep(0.01)
        assert process.poll() is None, "it waits for the stalled server"
        process.kill()
        process.wait()
        assert not (tmp_path / "set.zip").exists()
        have = part.stat().st_size
        assert BYTES.startswith(part.read_bytes())
        assert get(server, tmp_path).read_bytes() == BYTES
        assert server.requests == [None, f"bytes={have}-"]


# ---- archives


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
    file = folder / "set.zip"
    file.write_bytes(content)
    sha256 = hashlib.sha256(content).hexdigest()
    return splits.build(file, folder / "out", sha256, COUNTS, 64)


BOMB = archive([("val/bomb.jpg", b"\0" * 5_000_000)], compression=zipfile.ZIP_DEFLATED)
GOOD = archive()
HARMFUL = {
    "climbs out": (archive([("../evil.jpg", jpeg(9))]), "unsafe member"),
    "climbs out in the middle": (archive([("a/../../evil.jpg", jpeg(9))]), "unsafe member"),
    "an absolute path": (archive([("/tmp/evil.jpg", jpeg(9))]), "unsafe member"),
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
    monkeypatch.setattr(splits, "MAX_MEMBER", 1_000_000)
    content, told = HARMFUL[kind]
    inside = tmp_path / "a" / "b"
    inside.mkdir(parents=True)
    with fault(GROUP, f"archive: {kind}"):
        with pytest.raises(ValueError, match=told) as raised:
            build(inside, content)
        assert "set.zip" in str(raised.value) and "\n" not in str(raised.value)
        assert not splits.is_complete(inside / "out")
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
                assert not splits.is_complete(out) or damage == want[:-20]
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
