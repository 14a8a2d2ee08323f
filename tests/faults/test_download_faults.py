"""Downloads from servers that cut, stall, lie and refuse."""

from __future__ import annotations

import errno
import hashlib
import os
import subprocess
import sys
import time

import numpy as np
import pytest
from lying_server import serving

from colorlab.data import coco
from colorlab.data.coco import Archive, DownloadError, fetch

GROUP = "downloads"
BYTES = np.random.default_rng(0).bytes(700_000)
SHA256 = hashlib.sha256(BYTES).hexdigest()


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

    monkeypatch.setattr(coco, "progress_bar", Bar)
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
    "redirected to ftp": ({"location": "ftp://127.0.0.1/set.zip"}, "it resumes"),
    "redirected to data": ({"location": "data:text/plain,x"}, "not allowed|not http"),
    "redirected to itself": ({"location": "/again"}, "answers 302"),
    "redirected nowhere": ({"location": "http://[::1"}, "leads to no address"),
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


def test_a_length_that_the_server_does_not_tell(fault, tmp_path):
    faults = {"length": "none", "endless": True}
    with fault(GROUP, "bytes without end"), serving(BYTES, **faults) as server:
        assert get(server, tmp_path).read_bytes() == BYTES
    (tmp_path / "set.zip").unlink()
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
            return self.file.write(data)

    with fault(GROUP, "disk full"), serving(BYTES) as server:
        with monkeypatch.context() as patch:
            patch.setattr(coco, "open", Full, raising=False)
            with pytest.raises(DownloadError, match=r"is full after 300,000 bytes .*it resumes"):
                get(server, tmp_path)
        assert get(server, tmp_path).read_bytes() == BYTES
        assert server.requests == [None, "bytes=300000-"]
    usage = coco.shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(coco.shutil, "disk_usage", lambda _: usage)
    (tmp_path / "set.zip").unlink()
    with fault(GROUP, "disk too small for what the server tells"), serving(BYTES) as server:
        with pytest.raises(DownloadError, match="MB free and"):
            get(server, tmp_path, size=None)
        assert os.listdir(tmp_path) == []


FETCH = """
import sys
from pathlib import Path
from colorlab.data.coco import Archive, fetch
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
