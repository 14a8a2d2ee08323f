"""Pictures from any source, by one call."""

from __future__ import annotations

from pathlib import Path

from colorlab.data.cache import Pictures

__all__ = ["Pictures", "load"]

SCENE_COUNTS = {"train": 3600, "val": 300, "test": 512}


def load(
    data: str | Path,
    split: str = "train",
    size: int | None = None,
    count: int | None = None,
    colourless: bool = False,
) -> Pictures:
    """Open a split of a data source.

    Args:
        data: ``"scenes"``, the drawn world; ``"photos"``, the folder that ``COLORLAB_PHOTOS``
            or ``colorlab download`` gives; ``"skimage"``, the photographs that scikit-image
            carries (a test split only); or the path of any folder.
        split: ``"train"``, ``"val"`` or ``"test"``; ``"all"`` for a folder without splits.
        size: side in pixels; 128 for scenes, 256 for photographs unless told.
        count: how many pictures, the first ones. Scenes are drawn, so there may be more of them
            than the 3,600, 300 and 512 of the lessons; photographs are as many as there are.
        colourless: keep a folder's gray and toned photographs, which teach no colours.

    Raises:
        FileNotFoundError: no such folder or split.
        ValueError: no such split in this source, or a count below 1.
    """
    if count is not None and count < 1:
        raise ValueError(f"want at least one picture, got count={count}")
    name = str(data)
    if name == "scenes":
        from colorlab.data.scenes import scene_set

        if split not in SCENE_COUNTS:
            raise ValueError(f"scenes have the splits train, val and test, not {split!r}")
        return scene_set(count or SCENE_COUNTS[split], size=size or 128, split=split).pictures
    from colorlab.data import photos

    if name == "skimage":
        if split not in ("test", "all"):
            raise ValueError(
                f"scikit-image's photographs are few and all for testing; they have no {split!r}"
            )
        pictures = photos.skimage_photos(size=size or 256)
    else:
        root = photos.require_photos() if name == "photos" else Path(name)
        pictures = photos.load_folder(root, split, size or 256, colourless)
    return pictures if count is None else pictures.subset(range(min(count, len(pictures))))
