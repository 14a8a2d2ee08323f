"""Choose by how much a network's colours are turned up: ``python .ci/choose_boost.py unet``.

The factor at which its mean colourfulness on the validation photographs is the truth's. It goes
into the card of the weights, where the row ``boost`` and ``colorlab colorize`` find it.
"""

import json
import sys

import torch

from colorlab import checkpoints, data
from colorlab.cards import card_path
from colorlab.color import from_uint8
from colorlab.files import write_text
from colorlab.metrics import colorfulness, matching_factor

name = sys.argv[1]
file = checkpoints.find(name)
pictures = data.load("photos", "val")
truth = torch.cat([colorfulness(from_uint8(rgb)[None]) for rgb in pictures.rgb]).mean().item()
factor = matching_factor(checkpoints.load(name), pictures, truth)
card = checkpoints.read_card(file)
card["boost"] = {
    "factor": round(factor, 3),
    "colorfulness": round(truth, 2),
    "source": pictures.source,
    "sha256": pictures.sha256,
}
write_text(card_path(file), json.dumps(card, indent=2) + "\n")
print(f"{file.name}: {card['boost']}")
