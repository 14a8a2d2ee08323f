"""The download against a local server that cuts, stalls, lies and refuses."""

import argparse
import csv
import hashlib
import http.server
import io
import json
import threading
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from colorlab.commands import download as command
from colorlab.data import fetch as fetching
from colorlab.data import photos, splits
from colorlab.data.download import COCO_TRAIN2017, COCO_VAL2017, download_coco
from colorlab.data.fetch import Archive, DownloadError, fetch

COUNTS = {"test": 2, "val": 3, "train": 6}


class Server(http.server.ThreadingHTTPServer):
    """Serves `content` at every path, with the faults that a test asks for."""

    daemon_threads = True

    def __init__(self, content):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = content
        self.requests = []  # the Range header of each request
        self.cuts = []  # one a request: send so many bytes, then hang up
        self.statuses = []  # one a request: answer this instead
        self.ranges = True
        self.stalls = 0  # so many requests stay open after their cut
        self.over = threading.Event()
        self.lie = 0  # added to Content-Length
        self.location = None

    def url(self, name="set.zip"):
        return f"http://127.0.0.1:{self.server_address[1]}/{name}"


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_GET(self):
        server = self.server
        asked = self.headers.get("Range")
        server.requests.append(asked)
        if server.location:
            self.send_response(302)
            self.send_header("Location", server.location)
            self.end_headers()
            return
        if server.statuses and (status := server.statuses.pop(0)) != 200:
            self.send_error(status)
            return
        start = int(asked[6:-1]) if asked and server.ranges else 0
        if start >= len(server.content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(server.content)}")
            self.end_headers()
            return
        body = server.content[start:]
        self.send_response(206 if start else 200)
        if start:
            end = len(server.content)
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{end}")
        self.send_header("Content-Length", str(len(body) + server.lie))
        self.end_headers()
        if server.cuts and (cut := server.cuts.pop(0)) is not None:
            body = body[:cut]
        self.wfile.write(body)
        if server.stalls:
            server.stalls -= 1
            self.wfile.flush()
            server.over.wait(20)


@pytest.fixture
def serve():
    servers = []

    def start(content):
        server = Server(content)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.over.set()
        server.shutdown()
        server.server_close()


BYTES = np.random.default_rng(0).bytes(3_000_000)
SHA256 = hashlib.sha256(BYTES).hexdigest()


def get(server, folder, **options):
    options = {"timeout": 5, "tries": 3, "pause": 0.01, **options}
    return fetch(Archive(server.url(), SHA256, len(BYTES)), folder, **options)


def test_the_whole_file_arrives_once(serve, tmp_path):
    server = serve(BYTES)
    path = get(server, tmp_path)
    assert path == tmp_path / "set.zip"
    assert path.read_bytes() == BYTES
    assert [p.name for p in tmp_path.iterdir()] == ["set.zip"]
    get(server, tmp_path)
    assert server.requests == [None]  # the second call found the file


def test_cuts_are_resumed_where_they_fell(serve, tmp_path):
    server = serve(BYTES)
    server.cuts = [1_000_000, 500_000, 1, 0]
    assert get(server, tmp_path).read_bytes() == BYTES
    assert server.requests == [None, "bytes=1000000-"] + ["bytes=1500000-"] + ["bytes=1500001-"] * 2


def test_a_killed_run_is_resumed_by_the_next(serve, tmp_path):
    server = serve(BYTES)
    (tmp_path / "set.zip.part").write_bytes(BYTES[:2_000_000])
    assert get(server, tmp_path).read_bytes() == BYTES
    assert server.requests == ["bytes=2000000-"]


@pytest.mark.parametrize("size", [len(BYTES), None])
def test_a_part_that_is_whole_needs_no_byte_more(serve, tmp_path, size):
    server = serve(BYTES)
    (tmp_path / "set.zip.part").write_bytes(BYTES)
    assert fetch(Archive(server.url(), SHA256, size), tmp_path).read_bytes() == BYTES


@pytest.mark.parametrize("size", [len(BYTES), None])
def test_a_part_that_is_too_long_is_thrown_away(serve, tmp_path, size):
    server = serve(BYTES)
    (tmp_path / "set.zip.part").write_bytes(BYTES + b"more")
    path = fetch(Archive(server.url(), SHA256, size), tmp_path, pause=0.01)
    assert path.read_bytes() == BYTES


def test_a_server_that_ignores_range_starts_again(serve, tmp_path):
    server = serve(BYTES)
    server.ranges = False
    server.cuts = [1_000_000]
    assert get(server, tmp_path).read_bytes() == BYTES


def test_a_line_that_stays_cut_ends_in_an_error_and_keeps_the_part(serve, tmp_path):
    server = serve(BYTES)
    server.cuts = [1000] + [0] * 10
    with pytest.raises(DownloadError, match=r"cut after 1,000 bytes.*it resumes"):
        get(server, tmp_path)
    assert (tmp_path / "set.zip.part").read_bytes() == BYTES[:1000]
    assert len(server.requests) == 4  # one with progress, three without


def test_a_stalled_line_counts_as_cut(serve, tmp_path):
    server = serve(BYTES)
    server.cuts, server.stalls = [1_000_000], 1
    assert get(server, tmp_path, timeout=0.3).read_bytes() == BYTES
    assert server.requests == [None, "bytes=1000000-"]


def test_wrong_bytes_are_deleted(serve, tmp_path):
    server = serve(BYTES[:-1] + b"?")
    with pytest.raises(DownloadError, match="wrong SHA-256"):
        get(server, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_finished_file_is_fetched_anew(serve, tmp_path):
    (tmp_path / "set.zip").write_bytes(BYTES[:-1] + b"?")
    assert get(serve(BYTES), tmp_path).read_bytes() == BYTES


def test_an_offer_of_another_length_is_refused_before_a_byte_is_kept(serve, tmp_path):
    server = serve(BYTES)
    server.lie = -5
    with pytest.raises(DownloadError, match="offers 2,999,995 bytes, want 3,000,000"):
        get(server, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_refusals(serve, tmp_path):
    server = serve(BYTES)
    server.statuses = [404]
    with pytest.raises(DownloadError, match="answers 404"):
        get(server, tmp_path)
    assert len(server.requests) == 1  # a missing file does not come by asking again
    server.statuses = [503, 429]
    assert get(server, tmp_path).read_bytes() == BYTES


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/set.zip"])
def test_redirects_to_other_schemes_are_refused(serve, tmp_path, target):
    server = serve(BYTES)
    server.location = target
    with pytest.raises(DownloadError, match=r"not (http or https|allowed)"):
        get(server, tmp_path)
    with pytest.raises(ValueError, match="no http or https address"):
        fetch(Archive(target, SHA256), tmp_path)


def test_redirects_to_http_are_followed(serve, tmp_path):
    first, second = serve(b""), serve(BYTES)
    first.location = second.url("elsewhere.zip")
    assert get(first, tmp_path).read_bytes() == BYTES


def test_a_name_in_the_address_cannot_leave_the_folder(serve, tmp_path):
    server = serve(BYTES)
    for name in ("..%2F..%2Fevil.zip", "a/%2e%2e", "?q=1", ".."):
        path = fetch(Archive(server.url(name), SHA256), tmp_path)
        assert path.parent == tmp_path


def test_disk_space_is_checked_first(serve, tmp_path, monkeypatch):
    server = serve(BYTES)
    usage = fetching.shutil.disk_usage(tmp_path)._replace(free=len(BYTES) + 999)
    monkeypatch.setattr(fetching.shutil, "disk_usage", lambda _: usage)
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


def archive_of(server, content):
    return Archive(server.url(), hashlib.sha256(content).hexdigest(), len(content))


def manifest(out):
    with open(out / "manifest.csv", newline="") as file:
        return list(csv.DictReader(file))


def build(tmp_path, content, counts=COUNTS, name="out"):
    archive = tmp_path / "set.zip"
    archive.write_bytes(content)
    out = tmp_path / name
    written = splits.build(archive, out, hashlib.sha256(content).hexdigest(), counts, 64)
    return out, written


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
        first, second = sorted((f"{name}.jpg" for name in pair), key=splits.order_key)
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
    write_whole = splits.write_whole
    calls = []

    def killed(path, content):
        if path.suffix == ".png":
            calls.append(path)
            if len(calls) > lines:
                raise KeyboardInterrupt
        write_whole(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(splits, "write_whole", killed)
        with pytest.raises(KeyboardInterrupt):
            build(tmp_path, mixed, name="out")
    assert not splits.is_complete(tmp_path / "out")
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
    assert not splits.is_complete(out)
    build(tmp_path, mixed)
    assert lost.read_bytes() == content


@pytest.mark.parametrize("name", ["../evil.jpg", "/evil.jpg", "a/../../evil.jpg", "c:\\evil.jpg"])
def test_members_that_climb_out_are_refused(tmp_path, name):
    with pytest.raises(ValueError, match="unsafe member"):
        build(tmp_path, make_zip({**good(2), name: jpeg(scene(1))}))
    assert not list(tmp_path.rglob("evil*"))


def test_oversized_members_and_damaged_archives_are_refused(tmp_path, monkeypatch):
    content = make_zip(good(2))
    with pytest.raises(ValueError, match="not a whole zip file"):
        build(tmp_path, content[:-30])
    monkeypatch.setattr(splits, "MAX_MEMBER", 1000)
    with pytest.raises(ValueError, match="too many bytes"):
        build(tmp_path, content, name="other")


def test_foreign_pictures_are_not_mixed_in(tmp_path, mixed):
    (tmp_path / "out" / "train").mkdir(parents=True)
    (tmp_path / "out" / "train" / "mine.jpg").write_bytes(b"dear to me")
    with pytest.raises(ValueError, match="choose another --out"):
        build(tmp_path, mixed)
    build(tmp_path, mixed, name="set")
    with pytest.raises(ValueError, match="another archive or size"):
        build(tmp_path, make_zip(good(12)), name="set")


def test_download_from_first_byte_to_loaded_set(serve, tmp_path, mixed, monkeypatch):
    server = serve(mixed)
    server.cuts = [len(mixed) // 2]
    archive = archive_of(server, mixed)
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
    assert splits.difference_bits(ramp) == 2**64 - 1
    assert splits.difference_bits(np.ascontiguousarray(ramp[:, ::-1])) == 0


def run_command(*arguments):
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args(arguments))


def test_the_command(serve, tmp_path, mixed, monkeypatch, capsys):
    server = serve(mixed)
    sha256 = hashlib.sha256(mixed).hexdigest()
    make = command.download_coco
    monkeypatch.setattr(
        command, "download_coco", lambda out, archive, _, **k: make(out, archive, COUNTS, 64, **k)
    )
    out = tmp_path / "photos"
    assert run_command("--out", str(out), "--url", server.url(), "--sha256", sha256.upper()) == 0
    assert "6 train, 3 val, 2 test" in capsys.readouterr().out
    with pytest.raises(ValueError, match="64 hexadecimal digits"):
        run_command("--out", str(out), "--sha256", "abc")


def test_the_default_is_coco_and_a_mirror_keeps_its_checksum(tmp_path, monkeypatch):
    asked, wanted = [], []

    def record(out, archive, counts, keep_archive):
        asked.append(archive)
        wanted.append(counts)
        for split in COUNTS:
            (out / split).mkdir(parents=True, exist_ok=True)

    monkeypatch.setattr(command, "download_coco", record)
    run_command("--out", str(tmp_path))
    run_command("--out", str(tmp_path), "--url", "https://mirror.example/val2017.zip")
    assert asked[0] == COCO_VAL2017
    assert asked[1] == replace(COCO_VAL2017, url="https://mirror.example/val2017.zip")
    assert (COCO_VAL2017.size, COCO_VAL2017.sha256[:8]) == (815585330, "4f7e2ccb")
    assert wanted == 2 * [{"test": 64, "val": 618, "train": 3600}]
    run_command("--out", str(tmp_path), "--set", "train2017")
    run_command("--out", str(tmp_path), "--set", "train2017", "--limit", "9000")
    assert asked[2] == asked[3] == COCO_TRAIN2017
    assert (COCO_TRAIN2017.size, COCO_TRAIN2017.sha256[:8]) == (19336861798, "69a8bb58")
    assert [counts["train"] for counts in wanted[2:]] == [118_287 - 64 - 618, 9000]
    assert wanted[3] == {"test": 64, "val": 618, "train": 9000}
    with pytest.raises(ValueError, match="--limit must be at least 1, got 0"):
        run_command("--out", str(tmp_path), "--limit", "0")
