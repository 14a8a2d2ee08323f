"""`colorlab download`: its options. How a set is made is tested in tests/data/test_coco.py."""

import argparse
from dataclasses import replace

import pytest

from colorlab.commands import download as command
from colorlab.data.coco import COCO_TRAIN2017, COCO_VAL2017


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run the command with these words; returns what it asks for: archive, counts."""
    asked = []

    def record(out, archive, counts, keep_archive):
        asked.append((archive, counts))
        for split in counts:
            (out / split).mkdir(parents=True, exist_ok=True)

    def run_command(*words: str):
        parser = argparse.ArgumentParser()
        command.add_arguments(parser)
        assert command.run(parser.parse_args(["--out", str(tmp_path), *words])) == 0
        return asked[-1]

    monkeypatch.setattr(command, "download_coco", record)
    return run_command


def test_the_default_is_coco_and_a_mirror_keeps_its_checksum(run, capsys):
    counts = {"test": 64, "val": 618, "train": 3600}
    assert run() == (COCO_VAL2017, counts)
    assert "0 train, 0 val, 0 test\nuse it with: export COLORLAB_PHOTOS=" in capsys.readouterr().out
    mirror = "https://mirror.example/val2017.zip"
    assert run("--url", mirror) == (replace(COCO_VAL2017, url=mirror), counts)
    other, _ = run("--url", mirror, "--sha256", "AB" * 32)
    assert (other.sha256, other.size) == ("ab" * 32, None)
    with pytest.raises(ValueError, match="64 hexadecimal digits"):
        run("--sha256", "abc")


def test_train2017_takes_as_many_as_asked_for(run):
    archive, counts = run("--set", "train2017")
    assert (archive, counts["train"]) == (COCO_TRAIN2017, 118_287 - 64 - 618)
    assert run("--set", "train2017", "--limit", "9000")[1]["train"] == 9000
    with pytest.raises(ValueError, match="--limit must be positive, got 0"):
        run("--limit", "0")
