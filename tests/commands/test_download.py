"""`colorlab download`: its options, and a set made from a local server."""

import argparse
import hashlib
import io
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from lying_server import serving
from PIL import Image

from colorlab.commands import download as command
from colorlab.data.coco import COCO_TRAIN2017, COCO_VAL2017

COUNTS = {"test": 2, "val": 3, "train": 6}


def run_command(*arguments):
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args(arguments))


def make_zip(count):
    """Photographs of coarse coloured cells, so that each has its own difference hash."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as zipped:
        for seed in range(count):
            cells = np.random.default_rng(seed).integers(0, 256, (12, 16, 3), dtype=np.uint8)
            picture = Image.fromarray(cells).resize((320, 240), Image.Resampling.BICUBIC)
            with zipped.open(f"val/{seed:06}.jpg", "w") as member:
                picture.save(member, "JPEG", quality=90)
    return buffer.getvalue()


def test_the_command(tmp_path, monkeypatch, capsys):
    content = make_zip(12)
    sha256 = hashlib.sha256(content).hexdigest()
    make = command.download_coco
    monkeypatch.setattr(
        command, "download_coco", lambda out, archive, _, **k: make(out, archive, COUNTS, 64, **k)
    )
    out = tmp_path / "photos"
    with serving(content) as server:
        words = ["--out", str(out), "--url", server.url(), "--sha256", sha256.upper()]
        assert run_command(*words) == 0
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
