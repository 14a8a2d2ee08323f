"""Folders of pictures: what is taken, what is left out and said, what is kept for the next time."""

import os
import socket
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from colorlab.data import cache, photos
from colorlab.data.reading import mean_chroma


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("COLORLAB_CACHE", str(tmp_path_factory.mktemp("cache")))


def colourful(seed, height=48, width=64):
    """Four coloured squares: no gray, no noise."""
    corners = np.random.default_rng(seed).integers(0, 256, (2, 2, 3), dtype=np.uint8)
    corners[0, 0] = [200, 40, 40]
    return corners.repeat(height // 2, axis=0).repeat(width // 2, axis=1)


def save(path, picture):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path)


@pytest.fixture
def folder(tmp_path):
    for split, count in (("train", 3), ("val", 2)):
        for i in range(count):
            save(tmp_path / "set" / split / f"{split}{i}.png", colourful(i))
    return tmp_path / "set"


def test_split_folders_are_read_in_order_of_name(folder):
    save(folder / "train" / "deeper" / "a.PNG", colourful(9))
    save(folder / "train" / ".hidden.png", colourful(8))
    (folder / "train" / "notes.txt").write_text("no picture")
    pictures = photos.load_folder(folder, "train", 32)
    assert pictures.names == ("deeper/a.PNG", "train0.png", "train1.png", "train2.png")
    assert pictures.rgb.shape == (4, 32, 32, 3)
    assert pictures.source == "photos:train"
    assert isinstance(pictures.rgb, np.memmap)
    assert photos.load_folder(folder, "all", 32).names[:2] == (
        "train/deeper/a.PNG",
        "train/train0.png",
    )


def test_pictures_of_the_right_size_are_untouched(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    noise[..., 2] //= 2
    save(tmp_path / "test" / "a.png", noise)
    np.testing.assert_array_equal(photos.load_folder(tmp_path, "test", 32).rgb[0], noise)


def test_what_is_left_out_is_counted_and_named(folder):
    train = folder / "train"
    gray = colourful(0)[..., :1].repeat(3, axis=-1)
    save(train / "gray.png", gray)
    Image.fromarray(gray).save(train / "gray.jpg", quality=50)
    Image.fromarray(gray[..., 0]).save(train / "one_channel.png")
    save(train / "small.png", colourful(0, 10, 64))
    save(train / "enlarged.png", colourful(0, 20, 64))
    content = (train / "train0.png").read_bytes()
    (train / "cut.png").write_bytes(content[: len(content) // 2])
    (train / "text.jpg").write_text("no picture")
    for _ in range(2):  # the second time from the cache
        pictures, report = photos.open_folder(folder, "train", 32)
        assert pictures.names == ("enlarged.png", "train0.png", "train1.png", "train2.png")
        assert report == photos.FolderReport(
            used=4,
            enlarged=1,
            gray=("gray.jpg", "gray.png", "one_channel.png"),
            unreadable=("cut.png", "text.jpg"),
            small=("small.png",),
        )
    with pytest.warns(UserWarning, match="3 gray ones skipped; 2 unreadable skipped: cut.png"):
        photos.load_folder(folder, "train", 32)


def test_nothing_is_said_when_all_is_well(folder):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        photos.load_folder(folder, "train", 32)


def test_the_second_call_decodes_nothing(folder, monkeypatch):
    first = photos.load_folder(folder, "train", 32)
    monkeypatch.setattr(photos, "read_rgb", lambda path: pytest.fail(f"decoded {path} again"))
    second = photos.load_folder(folder, "train", 32)
    assert second.sha256 == first.sha256
    np.testing.assert_array_equal(second.rgb, first.rgb)


def test_a_changed_folder_is_read_anew(folder):
    first = photos.load_folder(folder, "train", 32)
    save(folder / "train" / "train0.png", colourful(77))
    changed = photos.load_folder(folder, "train", 32)
    assert changed.sha256 != first.sha256
    np.testing.assert_array_equal(
        changed.rgb[0], photos.square(photos.read_rgb(folder / "train" / "train0.png"), 32)
    )
    (folder / "train" / "train2.png").unlink()
    assert len(photos.load_folder(folder, "train", 32)) == 2
    assert len(list(cache.cache_dir().iterdir())) == 1  # the old set was replaced


def test_same_size_and_time_but_other_folder_is_another_set(tmp_path):
    """Bitmaps all have one length, and archives often set one time for all files."""
    for name, seed in (("a", 1), ("b", 2)):
        file = tmp_path / name / "set" / "test" / "x.bmp"
        save(file, colourful(seed))
        os.utime(file, (0, 0))
    one, two = (photos.load_folder(tmp_path / n / "set", "test", 32) for n in ("a", "b"))
    assert one.sha256 != two.sha256


def test_a_damaged_cache_is_not_used(folder):
    first = photos.load_folder(folder, "train", 32)
    want = np.array(first.rgb)
    (file,) = cache.cache_dir().iterdir()
    content = bytearray(file.read_bytes())
    content[7] ^= 255
    del first
    file.write_bytes(content)
    with pytest.warns(UserWarning, match="damaged picture cache"):
        again = photos.load_folder(folder, "train", 32)
    np.testing.assert_array_equal(again.rgb, want)


def test_plain_folder_is_divided_by_the_stated_hash(tmp_path):
    for i in range(40):
        save(tmp_path / f"{i}.png", colourful(i))
    parts = {split: set(photos.load_folder(tmp_path, split, 32).names) for split in photos.SPLITS}
    assert set.union(*parts.values()) == {f"{i}.png" for i in range(40)}
    assert sum(map(len, parts.values())) == 40
    assert len(photos.load_folder(tmp_path, "all", 32)) == 40
    # By `printf 0.png | sha256sum`: 0x0f25 / 65536 = 0.06; of 5.png: 0xed93 / 65536 = 0.93.
    assert (photos.hash_split("0.png"), photos.hash_split("5.png")) == ("train", "test")
    shares = [photos.hash_split(f"{i}.jpg") for i in range(20_000)]
    # 20,000 draws: three standard deviations are 0.0085 and 0.0064.
    assert shares.count("train") / 20_000 == pytest.approx(0.8, abs=0.0085)
    assert shares.count("val") / 20_000 == pytest.approx(0.1, abs=0.0064)


@pytest.mark.parametrize(
    ("split", "message"),
    [("test", "no folder 'test'"), ("dev", "choose train, val, test or all")],
)
def test_missing_splits(folder, split, message):
    with pytest.raises((FileNotFoundError, ValueError), match=message):
        photos.load_folder(folder, split, 32)


def test_folders_without_pictures(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such folder"):
        photos.load_folder(tmp_path / "nowhere", "train")
    with pytest.raises(FileNotFoundError, match="no picture for split"):
        photos.load_folder(tmp_path, "all")
    save(tmp_path / "gray.png", np.full((64, 64, 3), 9, dtype=np.uint8))
    with pytest.raises(FileNotFoundError, match=r"no usable picture.*1 gray"):
        photos.load_folder(tmp_path, "all", 32)
    with pytest.raises(ValueError, match="size 0"):
        photos.load_folder(tmp_path, "all", 0)


def test_find_photos(tmp_path, monkeypatch):
    monkeypatch.setenv("COLORLAB_PHOTOS", str(tmp_path))
    assert photos.find_photos() == photos.require_photos() == tmp_path
    monkeypatch.setenv("COLORLAB_PHOTOS", str(tmp_path / "gone"))
    with pytest.raises(FileNotFoundError, match="correct or unset it"):
        photos.find_photos()
    monkeypatch.delenv("COLORLAB_PHOTOS")
    monkeypatch.setattr(cache, "checkout_data", lambda: tmp_path)
    assert photos.find_photos() is None
    with pytest.raises(FileNotFoundError, match=r"COLORLAB_PHOTOS.*colorlab download"):
        photos.require_photos()
    (tmp_path / "photos" / "train").mkdir(parents=True)
    assert photos.find_photos() == tmp_path / "photos"


def test_skimage_photos_are_colourful_and_need_no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("asked the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    pictures = photos.skimage_photos(128)
    assert pictures.rgb.shape == (5, 128, 128, 3)
    assert pictures.names == ("astronaut", "chelsea", "coffee", "motorcycle_left", "rocket")
    assert min(mean_chroma(picture) for picture in pictures.rgb) > 6
    assert pictures.sha256 == photos.skimage_photos(128).sha256


def test_the_astronaut_is_the_whole_picture_scaled(monkeypatch):
    import skimage.data

    whole = Image.fromarray(skimage.data.astronaut())
    want = np.asarray(whole.resize((256, 256), Image.Resampling.LANCZOS))
    np.testing.assert_array_equal(photos.skimage_photos(256).rgb[0], want)


def test_photo_set_is_whole_and_exact(photos_dir):
    pictures, report = photos.open_folder(photos_dir, "test")
    assert len(pictures) == report.used == 64
    assert report == photos.FolderReport(used=64)
    for name, picture in zip(pictures.names, pictures.rgb, strict=True):
        with Image.open(Path(photos_dir) / "test" / name) as image:
            np.testing.assert_array_equal(picture, np.asarray(image.convert("RGB")))
