"""Where decoded and drawn pictures are kept, and who may build there."""

from __future__ import annotations

import os
import site
import sysconfig
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from colorlab.files import locked


def checkout_data() -> Path | None:
    """The folder `data/` of the checkout that this package runs from, or None when installed."""
    root = Path(__file__).resolve().parents[2]
    return root / "data" if (root / "pyproject.toml").is_file() else None


def released_data() -> Path:
    """The folder of `checkpoints/` and `results/`: a checkout's `data/`, else where pip put it."""
    found = checkout_data()
    if found is not None:
        return found
    schemes = [sysconfig.get_path("data"), site.getuserbase()]
    places = [Path(scheme) / "share" / "colorlab" for scheme in schemes]
    return next((place for place in places if place.is_dir()), places[0])


def cache_dir() -> Path:
    """Folder for decoded pictures, made if absent.

    `COLORLAB_CACHE` wins, then `data/cache` of a checkout, then `~/.cache/colorlab`.

    Raises:
        OSError: the folder cannot be made.
    """
    data = checkout_data()
    if os.environ.get("COLORLAB_CACHE"):
        folder = Path(os.environ["COLORLAB_CACHE"]).expanduser()
    elif data is not None:
        folder = data / "cache"
    else:
        folder = Path.home() / ".cache" / "colorlab"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(
            f"cannot make the cache folder {folder} ({error.strerror}): "
            "set COLORLAB_CACHE to a folder you may write to"
        ) from error
    return folder


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Let one process at a time build `path`; the others wait, with a warning.

    Raises:
        OSError: the cache folder is not writable.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(path.with_name(f".{path.name}.lock"), wait=True))
        except OSError as error:
            raise OSError(f"{error}, and name it with COLORLAB_CACHE") from error
        yield
