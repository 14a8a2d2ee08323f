"""Pictures from any source, by one call."""

from __future__ import annotations

from pathlib import Path

from colorlab.data.pictures import Pictures

__all__ = ["Pictures", "load"]

SCENE_COUNTS = {"train": 3600, "val": 300, "test": 512}


def load(data: str | Path, split: str = "train", size: int | None = None) -> Pictures:
    """Open a split of a data source.

    Args:
        data: ``"scenes"``, the drawn world; ``"photos"``, the folder that ``COLORLAB_PHOTOS``
            or ``colorlab download`` gives; ``"skimage"``, the photographs that scikit-image
            carries (a test split only); or the path of any folder.
        split: ``"train"``, ``"val"`` or ``"test"``; ``"all"`` for a folder without splits.
        size: side in pixels; 128 for scenes, 256 for photographs unless told.

    Raises:
        FileNotFoundError: no such folder or split.
        ValueError: no such split in this source.
    """
    name = str(data)
    if name == "scenes":
        from colorlab.data.scenes import scene_set

        if split not in SCENE_COUNTS:
            raise ValueError(f"scenes have the splits train, val and test, not {split!r}")
        return scene_set(SCENE_COUNTS[split], size=size or 128, split=split).pictures
    from colorlab.data import photos

    if name == "skimage":
        if split not in ("test", "all"):
            raise ValueError(
                f"scikit-image's photographs are few and all for testing; they have no {split!r}"
            )
        return photos.skimage_photos(size=size or 256)
    root = photos.require_photos() if name == "photos" else Path(name)
    return photos.load_folder(root, split, size=size or 256)
