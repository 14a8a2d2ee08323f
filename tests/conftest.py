"""Fixtures that several tests share."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from PIL import Image

from colorlab.data.cache import Pictures

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"


def beside(variable: str, place: str, why: str) -> Path:
    """A path from the environment, or beside the checkout; otherwise the test is skipped."""
    path = Path(os.environ.get(variable) or SHARED / place)
    if not path.exists():
        pytest.skip(f"{why}: set {variable}")
    return path


@pytest.fixture(scope="session")
def photos_dir() -> Path:
    return beside("COLORLAB_PHOTOS", "photos", "no photographs at hand")


@pytest.fixture(scope="session")
def lpips_backbone() -> Path:
    place = "weights/lpips_alex_features.safetensors"
    return beside("COLORLAB_LPIPS_BACKBONE", place, "no AlexNet features at hand")


@pytest.fixture
def no_lpips(tmp_path, monkeypatch) -> None:
    """AlexNet's features are absent, so that no table waits for them."""
    monkeypatch.setenv("COLORLAB_LPIPS_BACKBONE", str(tmp_path / "absent"))


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory):
    """Keep what tests decode and render out of the user's cache, unless it names one."""
    if "COLORLAB_CACHE" not in os.environ:
        os.environ["COLORLAB_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def tiny_photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 16 small colour pictures in splits."""
    root = tmp_path_factory.mktemp("tiny")
    values = np.random.default_rng(0)
    for split, count in (("train", 8), ("val", 4), ("test", 4)):
        (root / split).mkdir()
        for i in range(count):
            coarse = values.integers(0, 256, (4, 4, 3), dtype=np.uint8)
            Image.fromarray(coarse).resize((128, 128)).save(root / split / f"{i}.png")
    return root


def with_jupyter_book() -> Path | None:
    """A Python beside which lies jupyter-book: this one, or that of site/README.md."""
    here = Path(sys.executable).parent
    places = (here, *(ROOT / "build" / "site-env" / name for name in ("bin", "Scripts")))
    for place in places:
        if shutil.which("jupyter-book", path=place):
            return place / Path(sys.executable).name
    return None


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole web site, built anew, once for all processes that test."""
    python = with_jupyter_book()
    if python is None:
        pytest.skip("no jupyter-book at hand: see site/README.md")
    if shutil.which("npm") is None:
        pytest.skip("no npm at hand, which gets scripts for the web site")
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "site"
    with FileLock(f"{folder}.lock"):
        if (folder / "built").exists():
            return folder / "html"
        command = (str(python), str(ROOT / ".ci" / "site.py"), str(folder))
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        said = done.stdout + done.stderr
        if "npm error" in said:
            pytest.skip("npm cannot get scripts for the web site")
        assert done.returncode == 0, said[-4000:]
        assert "WARNING" not in said, said[-4000:]
        (folder / "built").touch()
    return folder / "html"


@pytest.fixture
def few_pictures() -> Pictures:
    """Twelve smooth random 32x32 pictures."""
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (12, 4, 4, 3), dtype=np.uint8)
    rgb = coarse.repeat(8, axis=1).repeat(8, axis=2)
    return Pictures(rgb, tuple(f"picture {i}" for i in range(12)), "0" * 64, "test:few")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Benchmarks run when they are named only: nothing else may run beside them."""
    named = any("benchmarks" in argument for argument in config.args)
    return True if collection_path.name == "benchmarks" and not named else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """On several cores the long files come first, so that no core waits at the end for one."""
    if not getattr(config, "workerinput", None):
        return

    def rank(item: pytest.Item) -> int:
        if item.path.parent.name == "browser" or item.path.name == "test_parallel.py":
            return 0
        return 1 if item.path.suffix == ".ipynb" else 2

    items.sort(key=rank)
