"""colorlab: learn image colorization, from a lookup table to diffusion.

``colorlab.load("unet").colorize(L)`` loads released weights; the notebooks show how each
model is built. Importing this package needs neither Jupyter nor lpips nor a network.
"""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"
__all__ = ["__version__", "load"]


def load(name: str, **where: Any):
    """Load released weights, ``colorlab.load("unet")``; see :func:`colorlab.checkpoints.load`."""
    # Imported here: torch takes a second, and `import colorlab` should not.
    from colorlab.checkpoints import load as load_checkpoint

    return load_checkpoint(name, **where)
