"""What mutation starts from: one small valid file of each kind, made here, none stored."""

from __future__ import annotations

import dataclasses
import io
import json

import numpy as np
import torch
from PIL import Image, ImageCms
from safetensors.torch import save
from torch import Tensor

from colorlab.models import build


def pictures() -> dict[str, bytes]:
    """Name of a kind to the bytes of a 12 x 10 picture, every format and way of storing."""
    rgb = Image.fromarray(np.random.default_rng(0).integers(0, 256, (10, 12, 3), dtype=np.uint8))
    gray, palette = rgb.convert("L"), rgb.quantize(16)
    deep = Image.fromarray(np.arange(120, dtype=np.uint16).reshape(10, 12) * 540)
    floats = Image.fromarray(np.linspace(0, 1, 120, dtype=np.float32).reshape(10, 12))
    rgba = rgb.copy()
    rgba.putalpha(gray)
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "maker"
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    kinds = {
        "png": (rgb, {}),
        "png-bits": (rgb.convert("1"), {}),
        "png-16": (deep, {}),
        "png-alpha": (rgba, {"icc_profile": icc, "exif": exif}),
        "png-palette": (palette, {"transparency": 3}),
        "png-frames": (rgb, {"save_all": True}),
        "jpeg": (rgb, {"exif": exif}),
        "jpeg-gray": (gray, {"icc_profile": icc}),
        "jpeg-progressive": (rgb, {"progressive": True, "quality": 90}),
        "jpeg-cmyk": (rgb.convert("CMYK"), {}),
        "mpo": (rgb, {"save_all": True}),
        "webp": (rgb, {}),
        "webp-lossless": (rgba, {"lossless": True, "exif": exif}),
        "webp-frames": (rgb, {"save_all": True}),
        "avif": (rgb, {"speed": 10}),
        "avif-alpha": (rgba, {"speed": 10, "exif": exif}),
        "gif": (palette, {}),
        "gif-frames": (palette, {"transparency": 1, "save_all": True}),
        "bmp": (rgb, {}),
        "bmp-palette": (palette, {}),
        "tiff": (rgb, {}),
        "tiff-lzw": (rgb, {"compression": "tiff_lzw", "exif": exif}),
        "tiff-deflate": (rgba, {"compression": "tiff_adobe_deflate"}),
        "tiff-jpeg": (rgb, {"compression": "jpeg"}),
        "tiff-fax": (rgb.convert("1"), {"compression": "group4"}),
        "tiff-16": (deep, {"compression": "packbits"}),
        "tiff-float": (floats, {}),
        "tiff-lab": (Image.new("LAB", (12, 10), (90, 150, 99)), {}),
        "tiff-pages": (rgb, {"save_all": True}),
        "jpeg2000": (rgb, {}),
        "jpeg2000-alpha": (rgba, {"irreversible": True}),
        "ppm": (rgb, {}),
        "ppm-16": (deep, {}),
        "ppm-float": (floats, {}),
    }
    made = {}
    for kind, (image, options) in kinds.items():
        if options.get("save_all"):
            options["append_images"] = [image.rotate(180), image.rotate(90)]
        buffer = io.BytesIO()
        # A copy, since saving leaves its settings behind in the image.
        image.copy().save(buffer, kind.split("-")[0].upper(), **options)
        made[kind] = buffer.getvalue()
    made["ppm-plain"] = b"P3 # three\n2 2 255\n" + b"10 200 30 " * 4
    made["pbm-plain"] = b"P1\n4 2\n1 0 1 1 0 0 1 0\n"
    return made


def checkpoints() -> dict[str, bytes]:
    """Name of a model to its smallest weights and card, as :func:`joined` bytes."""
    torch.manual_seed(0)
    resnet = build("resnet", size=32, widths=(1, 1, 1))
    config = json.loads(json.dumps(dataclasses.asdict(resnet.config)))
    library = {name: torch.ones(2, 2) for name in ("descriptors", "pixels", "lightness")}
    return {
        "mean": joined(_card("mean", {}), {"ab": torch.tensor([5.0, 9.0])}),
        "lut": joined(_card("lut", {}), {"ab": torch.zeros(101, 2, dtype=torch.float16)}),
        "welsh": joined(_card("welsh", {}), {**library, "indices": torch.zeros(2)}),
        "resnet": joined(_card("resnet", config), resnet.half().state_dict()),
        "unet": joined(_card("unet", {"size": 32, "widths": [8, 8, 8, 8]}), {}),
    }


def joined(card: dict, tensors: dict[str, Tensor]) -> bytes:
    """Card and weights in one piece: the card's length in two bytes, the card, the weights."""
    text = json.dumps(card).encode()
    return len(text).to_bytes(2) + text + save(tensors)


def _card(model: str, config: dict) -> dict:
    zeros = 64 * "0"  # the target puts the true hash in its place
    return {
        "format": 1,
        "model": model,
        "target": "ab",
        "world": "scenes",
        "config": config,
        "sha256": zeros,
    }


def mutated(seed: int, valid: list[bytes]) -> bytes:
    """One of the valid files, damaged in one to four ways; a pure function of the seed.

    Bytes are flipped, set to the ends of their range, cut out, doubled, or taken over from
    another file: the ways of a fuzzer that sees no coverage.
    """
    chance = np.random.default_rng(seed)
    data = bytearray(valid[chance.integers(len(valid))])
    for _ in range(chance.integers(1, 5)):
        start = int(chance.integers(len(data) + 1))
        stop = start + int(chance.choice([1, 2, 4, 16, 64]))
        match chance.integers(6):
            case 0:
                data[start:stop] = chance.bytes(len(data[start:stop]))
            case 1:
                filler = bytes([chance.choice([0, 1, 127, 128, 255])])
                data[start:stop] = filler * len(data[start:stop])
            case 2:
                del data[start:stop]
            case 3:
                data[start:start] = data[start:stop]
            case 4:
                other = valid[chance.integers(len(valid))]
                data[start:stop] = other[start:stop]
            case 5:
                del data[start:]
    return bytes(data)
