"""The download from a local server that cuts and refuses, and the split of what came.

Servers that lie, stall and never end: see tests/faults/test_download_faults.py.
"""

import csv
import hashlib
import io
import json
import zipfile

import numpy as np
import pytest
from faults.lying_server import serving
from PIL import Image

from colorlab.data import coco, photos
from colorlab.data.coco import Archive, DownloadError, download_coco, fetch

COUNTS = {"test": 2, "val": 3, "train": 6}
BYTES = np.random.default_rng(0).bytes(3_000_000)
SHA256 = hashlib.sha256(BYTES).hexdigest()


def get(server, folder, size=len(BYTES), **options):
    options = {"timeout": 20, "tries": 3, "pause": 0.01, **options}
    return fetch(Archive(server.url(), SHA256, size), folder, **options)


def test_the_whole_file_arrives_once(tmp_path):
    with serving(BYTES) as server:
        path = get(server, tmp_path)
        assert path == tmp_path / "set.zip"
        assert path.read_bytes() == BYTES
        assert [p.name for p in tmp_path.iterdir()] == ["set.zip"]
        get(server, tmp_path)
        assert server.requests == [None]  # the second call found the file
        path.write_bytes(BYTES[:-1] + b"?")
        assert get(server, tmp_path).read_bytes() == BYTES


def test_cuts_are_resumed_where_they_fell(tmp_path):
    with serving(BYTES, cuts=[1_000_000, 500_000, 1, 0]) as server:
        assert get(server, tmp_path).read_bytes() == BYTES
        asked = [None, "bytes=1000000-", "bytes=1500000-", "bytes=1500001-", "bytes=1500001-"]
        assert server.requests == asked


@pytest.mark.parametrize("size", [len(BYTES), None])
def test_a_part_that_is_there_is_used_if_it_is_right(tmp_path, size):
    with serving(BYTES) as server:
        for have in (2_000_000, len(BYTES)):
            (tmp_path / "set.zip.part").write_bytes(BYTES[:have])
            assert get(server, tmp_path, size).read_bytes() == BYTES
            (tmp_path / "set.zip").unlink()
        for wrong in (BYTES + b"more", b"?" + BYTES[1:2_000_000]):
            (tmp_path / "set.zip.part").write_bytes(wrong)
            with pytest.raises(DownloadError, match=r"wrong SHA-256.*deleted, run again"):
                get(server, tmp_path, size)
            assert get(server, tmp_path, size).read_bytes() == BYTES
            (tmp_path / "set.zip").unlink()


def test_a_line_that_stays_cut_ends_in_an_error_and_keeps_the_part(tmp_path):
    with serving(BYTES, cuts=[1000] + [0] * 10) as server:
        with pytest.raises(DownloadError, match=r"cut after 1,000 bytes.*it resumes"):
            get(server, tmp_path)
        assert (tmp_path / "set.zip.part").read_bytes() == BYTES[:1000]
        assert len(server.requests) == 4  # one with progress, three without


def test_a_missing_file_is_asked_for_once_and_a_busy_server_again(tmp_path):
    with serving(BYTES, statuses=[404, 503, 429]) as server:
        with pytest.raises(DownloadError, match="answers 404"):
            get(server, tmp_path)
        assert len(server.requests) == 1
        assert get(server, tmp_path).read_bytes() == BYTES


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/set.zip", "set.zip"])
def test_other_addresses_are_refused(tmp_path, target):
    with pytest.raises(ValueError, match="no http or https address"):
        fetch(Archive(target, SHA256), tmp_path)


def test_redirects_to_http_are_followed(tmp_path):
    with serving(BYTES) as second, serving(b"", location=second.url("elsewhere.zip")) as first:
        assert get(first, tmp_path).read_bytes() == BYTES


def test_a_name_in_the_address_cannot_leave_the_folder(tmp_path):
    with serving(BYTES) as server:
        for name in ("..%2F..%2Fevil.zip", "a/%2e%2e", "?q=1", ".."):
            path = fetch(Archive(server.url(name), SHA256), tmp_path)
            assert path.parent == tmp_path


def test_disk_space_is_checked_first(tmp_path, monkeypatch):
    usage = coco.shutil.disk_usage(tmp_path)._replace(free=len(BYTES) + 999)
    monkeypatch.setattr(coco.shutil, "disk_usage", lambda _: usage)
    with serving(BYTES) as server:
        with pytest.raises(DownloadError, match="choose another disk with --out"):
            get(server, tmp_path, spare=1000)
        assert server.requests == []
        get(server, tmp_path, spare=999)


# ---- from the archive to the splits


def scene(seed, height=240, width=320):
    """A picture of coarse coloured cells, so that each seed has its own difference hash."""
    cells = np.random.default_rng(seed).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(cells).resize((width, height), Image.Resampling.BICUBIC))


def jpeg(picture, quality=90):
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def make_zip(members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as zipped:
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
    _, written = build(tmp_path, mixed)
    assert written == COUNTS
    with pytest.raises(ValueError, match="only 12 pictures for val, want 20"):
        build(tmp_path, make_zip(good(14)), {"test": 2, "val": 20, "train": 1}, name="few")


def test_another_order_in_the_archive_gives_the_same_set(tmp_path):
    members = good(11)
    one, _ = build(tmp_path, make_zip(members), name="one")
    two, _ = build(tmp_path, make_zip(dict(reversed(members.items()))), name="two")
    assert (one / "manifest.csv").read_bytes() == (two / "manifest.csv").read_bytes()


@pytest.mark.parametrize("lines", [0, 1, 4, 9])
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


def test_a_lost_picture_is_made_again(tmp_path, mixed):
    out, _ = build(tmp_path, mixed)
    row = manifest(out)[5]
    lost = out / row["split"] / row["file"]
    content = lost.read_bytes()
    lost.unlink()
    assert not coco.is_complete(out)
    build(tmp_path, mixed)
    assert lost.read_bytes() == content


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
        out = download_coco(tmp_path / "photos", archive, COUNTS, size=64)
        assert len(server.requests) == 2
        assert not list(out.glob("*.zip*"))
        download_coco(out, archive, COUNTS, size=64)
        assert len(server.requests) == 2  # a finished set asks for nothing
    monkeypatch.setenv("COLORLAB_CACHE", str(tmp_path / "cache"))
    for split, count in COUNTS.items():
        assert len(photos.load_folder(out, split, 64)) == count


def test_difference_bits_by_hand():
    """Rising brightness sets every bit, falling brightness none, and the mirror swaps the two."""
    ramp = np.linspace(0, 255, 90).astype(np.uint8)[None, :, None].repeat(80, 0).repeat(3, 2)
    assert coco.difference_bits(ramp) == 2**64 - 1
    assert coco.difference_bits(np.ascontiguousarray(ramp[:, ::-1])) == 0
