"""Image files that widgets make, as arrays."""

import io

import numpy as np
from PIL import Image


def decode(data: bytes) -> np.ndarray:
    """(H, W, 3) uint8 of the bytes of an image file."""
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
