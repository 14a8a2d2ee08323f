"""Choose by how much a network's colours are turned up: ``python .ci/choose_boost.py unet``.

Two factors go into the card of the weights: at "factor" its mean colourfulness on the validation
photographs is the truth's, for the row ``boost``; at "vivid" it is 85 % of that, for
``colorlab colorize``: turned up all the way, skin is orange and grass is paint.
"""

import json
import sys

import torch

from colorlab import checkpoints, data
from colorlab.cards import card_path
from colorlab.color import from_uint8
from colorlab.files import write_text
from colorlab.metrics import colorfulness, matching_factor

VIVID = 0.85  # of the truth's colourfulness

name = sys.argv[1]
file = checkpoints.find(name)
pictures = data.load("photos", "val")
truth = torch.cat([colorfulness(from_uint8(rgb)[None]) for rgb in pictures.rgb]).mean().item()
model = checkpoints.load(name)
factor, vivid = (matching_factor(model, pictures, share * truth) for share in (1.0, VIVID))
card = checkpoints.read_card(file)
card["boost"] = {
    "factor": round(factor, 3),
    "vivid": round(vivid, 3),
    "colorfulness": round(truth, 2),
    "source": pictures.source,
    "sha256": pictures.sha256,
}
write_text(card_path(file), json.dumps(card, indent=2) + "\n")
print(f"{file.name}: {card['boost']}")
