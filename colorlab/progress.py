"""Progress bars, in a terminal and in a notebook, that ``TQDM_DISABLE=1`` silences in both."""

from __future__ import annotations

import os
from typing import Any

from tqdm.auto import tqdm


def progress_bar(*args: Any, show: bool = True, **settings: Any) -> tqdm:
    """A tqdm bar, hidden unless ``show``, or where the environment sets ``TQDM_DISABLE``.

    tqdm's own notebook bar is displayed before it reads that variable.
    """
    silenced = os.environ.get("TQDM_DISABLE", "") not in ("", "0")
    return tqdm(*args, disable=silenced or not show, **settings)
