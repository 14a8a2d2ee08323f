"""Maps of a frozen encoder, kept on disk: the encoder's own, whatever happens to the files."""

import threading

import numpy as np
import pytest
import torch

from colorlab.data.cache import Pictures
from colorlab.data.loaders import TrainingBatches, quick_lab
from colorlab.files import locked
from colorlab.models import build, encoders
from colorlab.training import TrainConfig, Trainer
from colorlab.training.encoder_maps import EncoderMaps


@pytest.fixture(scope="module")
def pictures():
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (70, 8, 8, 3), dtype=np.uint8)  # more than one file holds
    rgb = coarse.repeat(8, 1).repeat(8, 2)
    return Pictures(rgb, tuple(f"{i}.png" for i in range(70)), "0" * 64, "test")


@pytest.fixture(scope="module")
def maps(pictures, tmp_path_factory):
    made = EncoderMaps(pictures, "imagenet", tmp_path_factory.mktemp("maps"))
    made.prepare(progress=False)
    return made


def test_kept_maps_are_the_encoders_own_in_both_orientations(maps, pictures):
    chosen, mirrored = np.array([69, 0, 5]), np.array([True, False, True])
    rgb = pictures.rgb[chosen]
    rgb[mirrored] = rgb[mirrored][:, :, ::-1]
    want = encoders.encode("imagenet", quick_lab(np.ascontiguousarray(rgb))[0])
    for kept, live in zip(maps.batch(chosen, mirrored), want, strict=True):
        assert kept.shape == live.shape
        error = (kept - live).abs().mean() / live.abs().mean()
        assert error < 1e-3, "half precision"
    unturned = maps.batch(chosen)
    assert not torch.allclose(unturned[0][0], maps.batch(chosen, mirrored)[0][0], atol=0.1)


def test_a_killed_run_goes_on_and_damage_is_mended(maps, pictures):
    whole = maps.batch(np.arange(70))
    second = maps.folder / "000001.maps"
    stamp = (maps.folder / "000000.maps").stat().st_mtime_ns
    second.unlink()
    again = EncoderMaps(pictures, "imagenet", maps.folder.parent)
    again.prepare(progress=False)
    assert (maps.folder / "000000.maps").stat().st_mtime_ns == stamp, "what is there stays"
    data = bytearray(second.read_bytes())
    data[100] ^= 1
    second.write_bytes(data)
    mended = EncoderMaps(pictures, "imagenet", maps.folder.parent).batch(np.arange(70))
    for one, other in zip(whole, mended, strict=True):
        assert torch.equal(one, other)


@pytest.mark.filterwarnings("ignore:waiting for")
def test_of_two_processes_one_computes(pictures, tmp_path):
    one, other = (EncoderMaps(pictures, "imagenet", tmp_path) for _ in range(2))
    one.folder.mkdir()
    thread = threading.Thread(target=one.prepare, args=(False,))
    with locked(one.folder / ".lock"):
        thread.start()
        thread.join(1)
        assert thread.is_alive(), "it waits"
        other._compute = lambda i: pytest.fail("computed twice")
    thread.join(60)
    assert not one.missing() and not list(one.folder.glob("*.part"))
    assert other.batch(np.array([0, 69]))[0].shape == (2, 40, 8, 8)


def test_a_full_disk_is_left_alone(maps, pictures, tmp_path, monkeypatch):
    assert not maps.missing()
    part = EncoderMaps(pictures.subset([0]), "imagenet", tmp_path)
    assert part.affordable()
    assert part.missing()
    assert part.folder.name != maps.folder.name, "parts of a set do not share files"
    monkeypatch.setattr("colorlab.training.encoder_maps.SHARE", 0.0)
    assert not part.affordable()


def test_a_trainer_takes_maps_where_they_pay(pictures, tmp_path, monkeypatch):
    monkeypatch.setenv("COLORLAB_CACHE", str(tmp_path))
    model = build("unet", encoder="imagenet", fold=8, size=64)
    short, long = (TrainConfig(steps=steps, batch_size=10) for steps in (1, 14))
    assert Trainer(model, pictures, short).batches.maps is None, "140 maps for 10 pictures"
    assert Trainer(model, pictures, long).batches.maps is not None
    assert Trainer(model, pictures, short).batches.maps is not None, "now they are there"
    cut = TrainConfig(steps=14, batch_size=10, augment="crop")
    assert Trainer(model, pictures, cut).batches.maps is None
    assert Trainer(build("unet", size=64), pictures, long).batches.maps is None


def test_kept_maps_train_the_same_network(pictures, tmp_path, monkeypatch):
    """Against an encoder that looks at every step: the same losses, within half precision."""
    monkeypatch.setenv("COLORLAB_CACHE", str(tmp_path))
    config = TrainConfig(steps=14, batch_size=10, precision="float32")
    losses = []
    for kept in (True, False):
        torch.manual_seed(0)
        trainer = Trainer(build("unet", encoder="imagenet", fold=8, size=64), pictures, config)
        if not kept:
            trainer.batches.maps = None
        losses.append([trainer.advance("float32")["mse"].item() for _ in range(6)])
    np.testing.assert_allclose(*losses, rtol=0.05)
    with pytest.raises(ValueError, match="a crop has other maps"):
        TrainingBatches(pictures, 8, augment="crop", maps=EncoderMaps(pictures, "imagenet"))


def test_repeated_pictures_are_seen_more_often(pictures):
    batches = TrainingBatches(pictures, 10, augment="none", repeat="1?.png=4")
    assert len(batches.order) == 70 + 3 * 10
    assert (np.bincount(batches.order) == np.where(np.arange(70) // 10 == 1, 4, 1)).all()
    for wrong, why in (
        ("1?.png", "GLOB=TIMES"),
        ("1?.png=0", "GLOB=TIMES"),
        ("a*=2", "no picture"),
    ):
        with pytest.raises(ValueError, match=why):
            TrainingBatches(pictures, 10, repeat=wrong)
