"""Folders of pictures: what is taken, what is left out and said, what is kept for the next time."""

import errno
import os
import socket
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
    (train / "phone.HEIC").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(99))
    os.mkfifo(train / "pipe.png")
    (train / "folder.png").mkdir()  # no file, so not listed at all
    for _ in range(2):  # the second time from the cache
        pictures, report = photos.open_folder(folder, "train", 32)
        assert pictures.names == ("enlarged.png", "train0.png", "train1.png", "train2.png")
        assert report == {
            "used": 4,
            "enlarged": 1,
            "gray": ["gray.jpg", "gray.png", "one_channel.png"],
            "toned": [],
            "unreadable": ["cut.png", "phone.HEIC", "pipe.png", "text.jpg"],
            "small": ["small.png"],
        }
    with pytest.warns(UserWarning, match="3 gray ones skipped; 4 unreadable skipped: cut.png"):
        photos.load_folder(folder, "train", 32)


def test_the_second_call_decodes_nothing_and_nothing_is_said(folder, monkeypatch, recwarn):
    first = photos.load_folder(folder, "train", 32)
    assert not recwarn.list
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


def test_wrong_splits_and_folders_without_pictures(folder, tmp_path):
    (tmp_path / "empty").mkdir()
    for root, split, message in (
        (folder, "test", "no folder 'test'"),
        (folder, "dev", "choose train, val, test or all"),
        (tmp_path / "nowhere", "train", "no such folder"),
        (tmp_path / "empty", "test", "no picture for split"),
    ):
        with pytest.raises((FileNotFoundError, ValueError), match=message):
            photos.load_folder(root, split, 32)
    with pytest.raises(ValueError, match="size 0"):
        photos.load_folder(folder, "train", 0)
    save(tmp_path / "grays" / "gray.png", np.full((64, 64, 3), 9, dtype=np.uint8))
    with pytest.raises(FileNotFoundError, match=r"no usable picture.*1 gray"):
        photos.load_folder(tmp_path / "grays", "all", 32)


@pytest.mark.parametrize("name", ["[x]", "line\nbreak", "🦊", b"\xff\xfe", "n" * 255, "100%"])
def test_folders_of_any_name(name, tmp_path):
    folder = Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), os.fsencode(name))))
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("this disk takes no such name")
    for i in range(12):
        save(folder / os.fsdecode(b"\xe9 %d\n.png" % i), colourful(i, 16, 16))
    (folder / "bad.png").write_bytes(b"")
    with pytest.warns(UserWarning, match="1 unreadable"):
        assert len(photos.load_folder(folder, "train", 16)) > 4  # divided by names' hashes


def test_links_in_a_circle_and_folders_that_may_not_be_listed(tmp_path, monkeypatch):
    """The refusal is simulated, since who runs the tests as root may list everything."""
    save(tmp_path / "deep" / "a.png", colourful(0))
    (tmp_path / "deep" / "round").symlink_to(tmp_path)
    (tmp_path / "self").symlink_to("self")
    assert photos.list_files(tmp_path, "all")[1] == ["deep/a.png"]
    with pytest.raises(FileNotFoundError):
        photos.load_folder(tmp_path / "self", "all", 16)
    (tmp_path / "closed").mkdir()
    scan = os.scandir

    def refuse(path):
        if str(path).endswith("closed"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.warns(UserWarning, match="closed: may not be listed .+; check its permissions"):
        assert photos.list_files(tmp_path, "all")[1] == ["deep/a.png"]


def test_files_that_vanish_or_become_readable(folder, monkeypatch):
    listed = photos.list_files(folder, "train")
    key = photos.listing_key(*listed, ())
    with monkeypatch.context() as patch:
        patch.setattr(photos.os, "access", lambda *_: False)
        assert photos.listing_key(*listed, ()) != key
    (folder / "train" / "train1.png").unlink()
    monkeypatch.setattr(photos, "list_files", lambda *_: listed)
    pictures, report = photos.open_folder(folder, "train", 16)
    assert pictures.names == ("train0.png", "train2.png")
    assert report["unreadable"] == ["train1.png"]


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
    import skimage.data

    def refuse(*args, **kwargs):
        raise AssertionError("asked the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    pictures = photos.skimage_photos(128)
    astronaut = Image.fromarray(skimage.data.astronaut())
    want = np.asarray(astronaut.resize((128, 128), Image.Resampling.LANCZOS))
    np.testing.assert_array_equal(pictures.rgb[0], want)
    assert pictures.rgb.shape == (5, 128, 128, 3)
    assert pictures.names == ("astronaut", "chelsea", "coffee", "motorcycle_left", "rocket")
    assert min(mean_chroma(picture) for picture in pictures.rgb) > 6
    assert pictures.sha256 == photos.skimage_photos(128).sha256


def test_photo_set_is_whole_and_exact(photos_dir):
    pictures, report = photos.open_folder(photos_dir, "test")
    assert photos.summary(report) == "64 pictures" and len(pictures) == 64
    for name, picture in zip(pictures.names, pictures.rgb, strict=True):
        with Image.open(photos_dir / "test" / name) as image:
            np.testing.assert_array_equal(picture, np.asarray(image.convert("RGB")))


@pytest.mark.parametrize(
    "names",
    [("train", "val", "test"), ("Train", "VAL", "Testing"), ("training", "validation", "test2017")],
)
def test_folders_of_splits_are_known_in_any_spelling(tmp_path, names):
    for i, name in enumerate(names):
        save(tmp_path / name / f"{i}.png", colourful(i))
    for i, split in enumerate(photos.SPLITS):
        assert photos.load_folder(tmp_path, split, 32).names == (f"{i}.png",)
    save(tmp_path / "dev" / "other.png", colourful(9))
    with pytest.raises(ValueError, match=f"two folders for the split 'val', .*{names[1]}.*rename"):
        photos.load_folder(tmp_path, "train", 32)
    assert len(photos.load_folder(tmp_path, "all", 32)) == 4


def test_shares_by_name_are_counted_only_where_names_decide(tmp_path):
    for i in (0, 1, 5):
        save(tmp_path / f"{i}.png", colourful(i))
    assert photos.hashed_share(tmp_path, "test") == (1, 3)  # 5.png, see above
    assert photos.hashed_share(tmp_path, "all") is None
    save(tmp_path / "Val" / "0.png", colourful(0))
    assert photos.hashed_share(tmp_path, "val") is None


def shades(seed: int = 0) -> np.ndarray:
    """A gray image (256, 256, 1) of smooth shapes, in [0, 255]."""
    coarse = np.random.default_rng(seed).integers(20, 230, (12, 12), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((256, 256)), dtype=float)[..., None]


TONES = {
    "sepia": lambda gray: gray * [1, 0.85, 0.65],
    "cyanotype": lambda gray: gray / 255 * [230, 245, 255] + (1 - gray / 255) * [0, 40, 90],
    "weak": lambda gray: gray * [1, 0.95, 0.88],
}


@pytest.mark.parametrize("quality", [None, 85])
@pytest.mark.parametrize("tone", TONES)
def test_toned_gray_pictures_are_left_out_as_gray_ones_are(tmp_path, tone, quality):
    toned = np.rint(TONES[tone](shades())).astype(np.uint8)
    for i in range(3):
        save(tmp_path / "test" / f"{i}.png", colourful(i))
    if quality:
        Image.fromarray(toned).save(tmp_path / "test" / "toned.jpg", quality=quality)
    else:
        save(tmp_path / "test" / "toned.png", toned)
    with pytest.warns(UserWarning, match="1 of one hue skipped: toned"):
        pictures = photos.load_folder(tmp_path, "test", 64)
    assert pictures.names == ("0.png", "1.png", "2.png")


def test_photographs_of_one_hue_are_no_toned_ones():
    """A dune: one hue, but its shadows are bluer than its sand of the same lightness."""
    assert not any(photos.is_toned(rgb) for rgb in photos.skimage_photos(128).rgb)
    g, warmth = shades(1), shades(2) / 255
    dune = g * ([1, 0.85, 0.65] + 0.2 * (warmth - 0.5) * [0, 0.3, 1])
    assert not photos.is_toned(np.rint(dune.clip(0, 255)).astype(np.uint8))
