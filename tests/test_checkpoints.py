"""Released weights: what is saved comes back, and what is wrong is refused in words."""

from __future__ import annotations

import json
import pickle

import pytest
import torch

import colorlab
from colorlab import cards, checkpoints
from colorlab.models import MODELS, build, encoders


@pytest.fixture
def saved(tmp_path):
    torch.manual_seed(0)
    model = build("unet", size=64, widths=(8, 16, 16, 16))
    torch.nn.init.normal_(model.head.project.weight, std=0.05)
    return model, checkpoints.save(model, "scenes", {"seed": 0}, tmp_path)


def test_what_is_saved_comes_back(saved):
    model, file = saved
    loaded = checkpoints.load("unet", world="scenes", folder=file.parent)
    assert loaded.config == model.config
    L = 100 * torch.rand(1, 1, 64, 64)
    # Half precision keeps 11 bits.
    assert (loaded.colorize(L) - model.colorize(L)).abs().max() < 0.01
    assert not loaded.training


def test_eight_bits_halve_the_file_and_come_back_within_a_sixteenth(saved, tmp_path):
    model, file = saved
    small = checkpoints.save(model, "scenes", {"seed": 0}, tmp_path / "small", eight_bit=True)
    assert small.stat().st_size < 0.6 * file.stat().st_size
    loaded = checkpoints.load(str(small))
    for key, value in model.state_dict().items():
        # Three bits behind the leading one, so half a step is 1/16; near 0 steps are 1/512.
        torch.testing.assert_close(loaded.state_dict()[key], value, rtol=1 / 16, atol=1 / 1024)
    L = 100 * torch.rand(1, 1, 64, 64)
    assert (loaded.colorize(L) - model.colorize(L)).abs().max() < 0.1


@pytest.mark.parametrize("name", ["unet-ab-scenes", "{file}"])
def test_names_by_which_it_is_found(saved, name):
    _, file = saved
    checkpoints.load(name.format(file=file), folder=file.parent)


def test_card_tells_what_it_is(saved):
    _, file = saved
    card = json.loads(file.with_suffix(".json").read_text())
    assert card["model"] == "unet"
    assert card["config"]["widths"] == [8, 16, 16, 16]
    assert card["intended_use"]
    assert card["code_version"].startswith(colorlab.__version__)


def test_missing_lists_what_is_there(saved):
    _, file = saved
    with pytest.raises(FileNotFoundError, match="unet-ab-scenes"):
        checkpoints.load("resnet", folder=file.parent)


def test_a_flipped_bit_is_refused(saved):
    _, file = saved
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    with pytest.raises(ValueError, match="SHA-256"):
        checkpoints.load(str(file))


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was executed",))


@pytest.mark.parametrize("name", ["unet-ab-scenes.pt", "unet-ab-scenes.safetensors"])
def test_a_pickle_is_refused_and_not_executed(saved, name):
    _, file = saved
    fake = file.with_name(name)
    fake.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ValueError, match=r"pickle|SHA-256"):
        checkpoints.load(str(fake))


@pytest.mark.parametrize("name", ["../unet", "unet-../../x", "", "unet-ab-photos-more"])
def test_a_name_cannot_climb_out(tmp_path, name):
    with pytest.raises(ValueError, match="name"):
        checkpoints.load(name, folder=tmp_path)


@pytest.mark.parametrize(
    ("change", "tells"),
    [
        ({"format": 99}, "newer"),
        ({"model": "vgg"}, "does not describe"),
        ({"config": {"size": 64, "widths": [8, 16, 16, 32]}}, "does not fit"),
        ({"config": {"wdith": 3}}, "wdith"),
    ],
)
def test_a_card_that_does_not_fit_is_refused(saved, change, tells):
    _, file = saved
    path = file.with_suffix(".json")
    card = {**json.loads(path.read_text()), **change}
    path.write_text(json.dumps({**card, "settings_sha256": cards.seal(card)}))
    with pytest.raises(ValueError, match=tells):
        checkpoints.load(str(file))


def test_a_card_is_needed(saved):
    _, file = saved
    card = file.with_suffix(".json")
    card.write_text("not json")
    with pytest.raises(ValueError, match="not a model card"):
        checkpoints.load(str(file))
    card.unlink()
    with pytest.raises(FileNotFoundError, match="missing"):
        checkpoints.load(str(file))


def test_too_large_a_model_is_not_released(tmp_path):
    with pytest.raises(ValueError, match="narrower"):
        checkpoints.save(build("unet", widths=(96, 160, 224, 320)), "photos", {}, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("stem", checkpoints.released())
def test_released_weights_load_and_color(stem):
    model = checkpoints.load(stem)
    card = checkpoints.read_card(checkpoints.find(stem))
    assert card["model"] in MODELS
    assert len(card["trained_on"]["sha256"]) == 64
    L = torch.linspace(0, 100, 64 * 64).reshape(1, 1, 64, 64)
    rgb = model.colorize(L)
    assert (rgb - rgb.mean(1, keepdim=True)).abs().max() > 0.01, "released weights give colour"


def test_every_released_file_has_its_card_and_its_size():
    for file in checkpoints.FOLDER.glob("*.safetensors"):
        assert file.stat().st_size <= checkpoints.MAX_BYTES
        if file.stem.startswith("encoder-"):
            assert encoders.read_card(file.stem.removeprefix("encoder-"))["licence"]
        else:
            checkpoints.read_card(file)
