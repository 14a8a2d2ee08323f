"""What the cards say a model cost."""

from __future__ import annotations

import pytest

import colorlab
from colorlab import checkpoints
from colorlab.layers import count_parameters
from colorlab.metrics import costs
from colorlab.models import build, encoders


@pytest.fixture
def unet(tmp_path):
    first = {"trained_on": {"pictures": 12}, "steps": 30, "seconds": 90, "device": "CPU, 1 threads"}
    fewer = {"trained_on": {"pictures": 4}, "steps": 5, "seconds": 33, "device": "one GPU"}
    second = {**fewer, "started_from": first}
    model = build("unet", size=64)
    return checkpoints.save(model, "photos", second, tmp_path), model


def test_stages_count_together(unet):
    file, model = unet
    cost = costs.training_cost(str(file))
    assert cost["steps"] == 35
    assert cost["training minutes"] == 2
    assert cost["training images"] == 12
    assert cost["device"] == "CPU, 1 thread, then one GPU"
    assert cost["parameters"] == count_parameters(model)


def test_released_models_weigh_what_they_load_and_their_encoder():
    card = encoders.read_card(encoders.IMAGENET)
    encoder = count_parameters(encoders.make_net(card["architecture"]))
    for name, more in (
        ("resnet-scratch", 0),
        ("resnet", encoder),
        ("diffusion", encoder),
        ("classifier", encoder),
    ):
        mine = count_parameters(colorlab.load(name))
        assert costs.training_cost(name)["parameters"] == mine + more


def test_draws_cost_what_their_model_does_and_gray_nothing(unet):
    rows = costs.released_costs(["gray", "unet_vae", "unet_vae:best8", "lut", str(unet[0])])
    assert set(rows) == {"unet_vae", "unet_vae:best8", "lut", str(unet[0])}
    assert rows["unet_vae"] == rows["unet_vae:best8"]
    assert set(rows["lut"]) == {"parameters"}


def test_the_world_decides_which_card_is_read():
    photos, scenes = (costs.training_cost("unet", world) for world in ("photos", "scenes"))
    assert photos["steps"] != scenes["steps"]
    assert costs.training_cost("unet-ab-scenes") == scenes
