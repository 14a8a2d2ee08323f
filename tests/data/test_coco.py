"""The download from a server that cuts, refuses and lies, and the split of what came."""

import csv
import errno
import hashlib
import io
import json
import multiprocessing
import os
import struct
import time
import zipfile

import numpy as np
import pytest
from lying_server import serving
from PIL import Image

from colorlab.data import coco, photos
from colorlab.data.coco import Archive, DownloadError, download_coco, fetch
from colorlab.files import locked

COUNTS = {"test": 2, "val": 3, "train": 6}
BYTES = np.random.default_rng(0).bytes(700_000)
SHA256 = hashlib.sha256(BYTES).hexdigest()


def get(server, folder, size=len(BYTES), **options):
    options = {"timeout": 20, "tries": 3, "pause": 0.001, **options}
    return fetch(Archive(server.url(), SHA256, size), folder, **options)


def test_the_whole_file_arrives_once(tmp_path):
    with serving(BYTES) as server:
        path = get(server, tmp_path)
        assert path == tmp_path / "set.zip"
        assert path.read_bytes() == BYTES
        assert os.listdir(tmp_path) == ["set.zip"]
        get(server, tmp_path)
        assert server.requests == [None]  # the second call found the file
        path.write_bytes(BYTES[:-1] + b"?")
        assert get(server, tmp_path).read_bytes() == BYTES


SURVIVED = {
    "cut again and again": {"cuts": [100_000, 1, 0, 300_000]},
    "stalled": {"cuts": [300_000, 0], "stalls": 2},
    "busy, then in the middle": {"cuts": [None, 50_000], "statuses": [503, 200, 502, 429]},
    "ranges ignored": {"ranges": False, "cuts": [100_000, 200_000]},
    "no length": {"length": False},
}


@pytest.mark.parametrize("size", [len(BYTES), None], ids=["size known", "size unknown"])
@pytest.mark.parametrize("kind", SURVIVED)
def test_the_whole_file_arrives_all_the_same(tmp_path, monkeypatch, kind, size):
    bars = []

    def kept(**settings):
        bars.append(progress_bar(**settings))
        return bars[-1]

    progress_bar = coco.progress_bar
    monkeypatch.setattr(coco, "progress_bar", kept)
    monkeypatch.setenv("TQDM_DISABLE", "0")
    with serving(BYTES, **SURVIVED[kind]) as server:
        timeout = 1 if kind == "stalled" else 20
        assert get(server, tmp_path, size, timeout=timeout, tries=4).read_bytes() == BYTES
    assert os.listdir(tmp_path) == ["set.zip"]
    assert all(bar.n <= len(BYTES) and bar.total in (len(BYTES), None) for bar in bars)
    assert bars[-1].n == len(BYTES)


def test_cuts_are_resumed_where_they_fell(tmp_path):
    with serving(BYTES, cuts=[100_000, 50_000, 1, 0]) as server:
        assert get(server, tmp_path).read_bytes() == BYTES
        asked = [None, "bytes=100000-", "bytes=150000-", "bytes=150001-", "bytes=150001-"]
        assert server.requests == asked


REFUSED = {
    "gone": ({"statuses": [404]}, "answers 404"),
    "always busy": ({"statuses": [503] * 9}, "503.*it resumes"),
    "no web server": ({"garbage": b"SSH-2.0-OpenSSH\r\n"}, "it resumes"),
    "an endless header": ({"garbage": b"HTTP/1.0 200 OK\r\nX: " + b"a" * 70_000}, "it resumes"),
    "cut short each time": ({"cuts": [1000] + [0] * 9}, "cut after 1,000 bytes.*it resumes"),
    "cut anew each time": ({"ranges": False, "cuts": [1000, 10] * 20}, "cut after .*it resumes"),
    "redirected to a file": ({"location": "file:///etc/passwd"}, "not allowed|not http"),
    "redirected to itself": ({"location": "/again"}, "answers 302"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_fetched_is_refused_and_never_used(tmp_path, kind):
    faults, told = REFUSED[kind]
    with serving(BYTES, **faults) as server:
        with pytest.raises(DownloadError, match=told) as raised:
            get(server, tmp_path)
        assert "\n" not in str(raised.value) and server.url() in str(raised.value)
        assert not (tmp_path / "set.zip").exists()
    with serving(BYTES) as server:
        assert get(server, tmp_path).read_bytes() == BYTES


@pytest.mark.parametrize("size", [len(BYTES), None])
def test_wrong_bytes_are_deleted_and_a_part_is_used_if_it_is_right(tmp_path, size):
    part = tmp_path / "set.zip.part"
    with serving(BYTES) as server:
        for have in (300_000, len(BYTES)):
            part.write_bytes(BYTES[:have])
            assert get(server, tmp_path, size).read_bytes() == BYTES
            (tmp_path / "set.zip").unlink()
        for wrong in (BYTES + b"more", b"?" + BYTES[1:300_000]):
            part.write_bytes(wrong)
            with pytest.raises(DownloadError, match=r"wrong SHA-256.*deleted, run again"):
                get(server, tmp_path, size)
            assert os.listdir(tmp_path) == []
    with (
        serving(b"?" + BYTES[1:], endless=True, length=False) as server,
        pytest.raises(DownloadError, match="wrong SHA-256"),
    ):
        get(server, tmp_path)


def test_addresses(tmp_path):
    for target in ("file:///etc/passwd", "ftp://127.0.0.1/set.zip", "set.zip"):
        with pytest.raises(ValueError, match="no http or https address"):
            fetch(Archive(target, SHA256), tmp_path)
    with serving(BYTES) as second, serving(b"", location=second.url("elsewhere.zip")) as first:
        assert get(first, tmp_path).read_bytes() == BYTES
    with serving(BYTES) as server:
        for name in ("..%2F..%2Fevil.zip", "a/%2e%2e", "?q=1", ".."):
            path = fetch(Archive(server.url(name), SHA256), tmp_path)
            assert path.parent == tmp_path, "a name in the address cannot leave the folder"


def test_a_disk_that_is_too_small_or_fills_up(tmp_path, monkeypatch):
    usage = coco.shutil.disk_usage(tmp_path)._replace(free=len(BYTES) + 999)
    with serving(BYTES) as server:
        with monkeypatch.context() as patch:
            patch.setattr(coco.shutil, "disk_usage", lambda _: usage)
            for size in (len(BYTES), None):
                with pytest.raises(DownloadError, match="choose another disk with --out"):
                    get(server, tmp_path, size, spare=1000)
            (tmp_path / "set.zip.part").write_bytes(BYTES[:300_000])
            assert get(server, tmp_path, spare=300_999).read_bytes() == BYTES
            (tmp_path / "set.zip").unlink()

        def full(*_):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        server.requests.clear()
        monkeypatch.setattr(type(coco.progress_bar()), "update", full)
        with pytest.raises(DownloadError, match=r"\(.*No space left.*\).*it resumes"):
            get(server, tmp_path)
        assert len(server.requests) == 1


def test_a_download_that_is_killed_goes_on(tmp_path):
    with serving(BYTES, cuts=[400_000], stalls=1) as server:
        process = multiprocessing.get_context("fork").Process(target=get, args=(server, tmp_path))
        process.start()
        part = tmp_path / "set.zip.part"
        while process.is_alive() and not (part.exists() and part.stat().st_size):
            time.sleep(0.01)
        assert process.is_alive(), "it waits for the stalled server"
        process.kill()
        process.join()
        assert not (tmp_path / "set.zip").exists()
        have = part.stat().st_size
        assert BYTES.startswith(part.read_bytes())
        assert get(server, tmp_path).read_bytes() == BYTES
        assert server.requests == [None, f"bytes={have}-"]


# ---- from the archive to the splits


def scene(seed, height=240, width=320):
    """A picture of coarse coloured cells, so that each seed has its own difference hash."""
    cells = np.random.default_rng(seed).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(cells).resize((width, height), Image.Resampling.BICUBIC))


def jpeg(picture, quality=90):
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def make_zip(members, **options):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", **options) as zipped:
        for name, content in members.items():
            zipped.writestr(name, content)
    return buffer.getvalue()


def good(count, start=0):
    return {f"val/{i:06}.jpg": jpeg(scene(i)) for i in range(start, start + count)}


@pytest.fixture(scope="module")
def mixed():
    """Twelve good pictures; copies, gray, small, long and broken ones; other files."""
    members = good(12)
    members["val/copy.jpg"] = jpeg(scene(0), quality=60)
    members["val/mirror.jpg"] = jpeg(scene(1)[:, ::-1])
    members["val/half_size.jpg"] = jpeg(
        np.asarray(Image.fromarray(scene(2)).resize((268, 201), Image.Resampling.BOX))
    )
    members["val/gray.jpg"] = jpeg(scene(90)[..., :1].repeat(3, axis=-1))
    pale = 128 + (scene(91).astype(int) - 128) // 16
    members["val/pale.jpg"] = jpeg(pale.astype(np.uint8), 95)
    members["val/small.jpg"] = jpeg(scene(92, 199, 300))
    members["val/long.jpg"] = jpeg(scene(93, 200, 441))
    members["val/broken.jpg"] = jpeg(scene(94))[:2000]
    members["val/readme.txt"] = b"no picture"
    members["val/"] = b""
    return make_zip(members)


def manifest(out):
    with open(out / "manifest.csv", newline="") as file:
        return list(csv.DictReader(file))


def build(tmp_path, content, counts=COUNTS, name="out"):
    """The set of an archive that is there already, and the images in each split."""
    out = tmp_path / name
    out.mkdir(exist_ok=True)
    (out / "set.zip").write_bytes(content)
    archive = Archive("http://nowhere/set.zip", hashlib.sha256(content).hexdigest(), len(content))
    download_coco(out, archive, counts, 64)
    return out, {split: len(list((out / split).iterdir())) for split in counts}


def reasons(out):
    lines = (out / "decisions.jsonl").read_text().splitlines()[1:]
    return {row["file"]: row["why"] for row in map(json.loads, lines)}


def test_the_set_is_cut_by_the_stated_rule(tmp_path, mixed):
    out, written = build(tmp_path, mixed, counts={"test": 2, "val": 3, "train": 99})
    why = reasons(out)
    assert {n for n, w in why.items() if w == "gray"} == {"gray.jpg", "pale.jpg"}
    assert [why[n] for n in ("small.jpg", "long.jpg", "broken.jpg")] == [
        "small",
        "long",
        "unreadable",
    ]
    # Of a picture and its copy the first in the fixed order stays, whatever its name.
    for pair in (("000000", "copy"), ("000001", "mirror"), ("000002", "half_size")):
        first, second = sorted((f"{name}.jpg" for name in pair), key=coco.order_key)
        assert (why[first], why[second]) == ("", "duplicate")
    assert written == {"test": 2, "val": 3, "train": 7}
    rows = manifest(out)
    order = [row["source_file"] for row in rows]
    assert order == sorted(
        order, key=lambda n: hashlib.sha256(f"colorlab-split-1/{n}".encode()).hexdigest()
    )
    assert [row["split"] for row in rows] == ["test"] * 2 + ["val"] * 3 + ["train"] * 7
    for row in rows:
        file = out / row["split"] / row["file"]
        assert hashlib.sha256(file.read_bytes()).hexdigest() == row["sha256"]
        with Image.open(file) as image:
            assert image.size == (64, 64)
    assert sum(1 for _ in out.glob("*/*")) == 12


def test_full_splits_end_the_work_and_too_few_pictures_are_an_error(tmp_path, mixed):
    out, written = build(tmp_path, mixed)
    assert written == COUNTS
    with zipfile.ZipFile(io.BytesIO(mixed)) as zipped:
        members = {name: zipped.read(name) for name in reversed(zipped.namelist())}
    other, _ = build(tmp_path, make_zip(members), name="another order in the archive")
    assert (out / "manifest.csv").read_bytes() == (other / "manifest.csv").read_bytes()
    with pytest.raises(ValueError, match="only 12 pictures for val, want 20"):
        build(tmp_path, make_zip(good(14)), {"test": 2, "val": 20, "train": 1}, name="few")


@pytest.mark.parametrize("lines", [0, 4])
def test_a_killed_build_goes_on_to_the_same_set(tmp_path, mixed, monkeypatch, lines):
    whole, _ = build(tmp_path, mixed, name="whole")
    want = {p.relative_to(whole): p.read_bytes() for p in whole.rglob("*.*") if p.is_file()}
    write_whole = coco.write_whole
    calls = []

    def killed(path, content):
        if path.suffix == ".png":
            calls.append(path)
            if len(calls) > lines:
                raise KeyboardInterrupt
        write_whole(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(coco, "write_whole", killed)
        with pytest.raises(KeyboardInterrupt):
            build(tmp_path, mixed, name="out")
    assert not coco.is_complete(tmp_path / "out")
    journal = tmp_path / "out" / "decisions.jsonl"
    journal.write_text(journal.read_text() + '{"file": "cut in the mid')
    out, written = build(tmp_path, mixed, name="out")
    assert written == COUNTS
    assert {p.relative_to(out): p.read_bytes() for p in out.rglob("*.*") if p.is_file()} == want


def test_a_lost_picture_or_a_damaged_manifest_is_made_again(tmp_path, mixed):
    out, _ = build(tmp_path, mixed)
    want = (out / "manifest.csv").read_bytes()
    row = manifest(out)[5]
    lost = out / row["split"] / row["file"]
    content = lost.read_bytes()
    lost.unlink()
    assert not coco.is_complete(out)
    build(tmp_path, mixed)
    assert lost.read_bytes() == content
    for damage in (b"", b"split\n", b"a,b\n1,2\n", b"\xff\xfe", b"split,file\n\0"):
        (out / "manifest.csv").write_bytes(damage)
        assert not coco.is_complete(out)
    with locked(out / "in-use"), pytest.raises(BlockingIOError, match=f"process {os.getpid()}"):
        build(tmp_path, mixed)
    build(tmp_path, mixed)
    assert (out / "manifest.csv").read_bytes() == want


def test_foreign_pictures_are_not_mixed_in(tmp_path, mixed):
    (tmp_path / "out" / "train").mkdir(parents=True)
    (tmp_path / "out" / "train" / "mine.jpg").write_bytes(b"dear to me")
    with pytest.raises(ValueError, match="choose another --out"):
        build(tmp_path, mixed)
    build(tmp_path, mixed, name="set")
    with pytest.raises(ValueError, match="another archive or size"):
        build(tmp_path, make_zip(good(12)), name="set")


def test_download_from_first_byte_to_loaded_set(tmp_path, mixed, monkeypatch):
    with serving(mixed, cuts=[len(mixed) // 2]) as server:
        archive = Archive(server.url(), hashlib.sha256(mixed).hexdigest(), len(mixed))
        out = tmp_path / "photos"
        download_coco(out, archive, COUNTS, size=64)
        assert len(server.requests) == 2
        assert not list(out.glob("*.zip*"))
        download_coco(out, archive, COUNTS, size=64)
        assert len(server.requests) == 2  # a finished set asks for nothing
    monkeypatch.setenv("COLORLAB_CACHE", str(tmp_path / "cache"))
    for split, count in COUNTS.items():
        assert len(photos.load_folder(out, split, 64)) == count


GOOD = make_zip(good(6))


def patched(content: bytes, name: bytes, at: int, form: str, value: int) -> bytes:
    """A field of the member's entry in the central directory, and nowhere else, replaced."""
    start = content.rindex(name) - 46
    assert content[start : start + 4] == b"PK\1\2"
    size = struct.calcsize(form)
    return content[: start + at] + struct.pack(form, value) + content[start + at + size :]


HARMFUL = {
    "one name in two folders": (make_zip(good(3) | {"other/000000.jpg": b"?"}), "two pictures nam"),
    "a compression": (patched(GOOD, b"val/000003.jpg", 10, "<H", 99), "not a whole zip file"),
    "a checksum": (patched(GOOD, b"val/000003.jpg", 16, "<I", 7), "not a whole zip file"),
    "a place": (patched(GOOD, b"val/000003.jpg", 42, "<I", 2**31), "not a whole zip file"),
    "a web page": (b"<html>Sign in to this network</html>", "not a whole zip file"),
    "cut": (GOOD[: len(GOOD) // 2], "not a whole zip file"),
}


@pytest.mark.parametrize("kind", HARMFUL)
def test_a_harmful_archive_is_refused_in_words(tmp_path, kind):
    content, told = HARMFUL[kind]
    with pytest.raises(ValueError, match=told) as raised:
        build(tmp_path, content)
    assert "set.zip" in str(raised.value) and "\n" not in str(raised.value)
    assert not coco.is_complete(tmp_path / "out")


def test_members_that_climb_out_and_links_stay_inside(tmp_path):
    link = zipfile.ZipInfo("val/link.jpg")
    link.create_system, link.external_attr = 3, 0o120777 << 16
    members = good(3) | {link: "/etc/passwd", "C:\\evil4.jpg": jpeg(scene(9))}
    for i, name in enumerate(("../evil", "a/../../evil", "/evil", "..\\evil")):
        members[f"{name}{i}.jpg"] = jpeg(scene(10 + i))
    out, _ = build(tmp_path, make_zip(members), {"test": 1, "val": 1, "train": 9})
    assert len(list(out.rglob("evil*.png"))) == 5, "an image like others, under its name"
    assert not any(path.is_symlink() for path in tmp_path.rglob("*"))
    assert os.listdir(tmp_path) == ["out"]


def test_difference_bits_by_hand():
    """Rising brightness sets every bit, falling brightness none, and the mirror swaps the two."""
    ramp = np.linspace(0, 255, 90).astype(np.uint8)[None, :, None].repeat(80, 0).repeat(3, 2)
    assert coco.difference_bits(ramp) == 2**64 - 1
    assert coco.difference_bits(np.ascontiguousarray(ramp[:, ::-1])) == 0
