"""Your own photograph, driven through its traits."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import decode

from colorlab.color import from_uint8, join, lightness, rgb_to_lab, to_uint8
from colorlab.widgets.studio import DRAWS, LONGEST, Studio


class One:
    """One answer: the same chroma everywhere."""

    deterministic = True

    def __init__(self, a=20.0, b=-10.0):
        self.ab, self.calls = (a, b), 0

    def colorize(self, L):
        self.calls += 1
        return join(L, torch.tensor(self.ab).view(1, 2, 1, 1).expand(1, 2, *L.shape[-2:]))


class Many(One):
    """Draws of chance: one chroma a draw, weak enough for the gamut."""

    deterministic = False

    def sample(self, L, n, generator):
        self.calls += 1
        ab = 5 * torch.randn(n, 2, 1, 1, generator=generator)
        return join(L.expand(n, -1, -1, -1), ab.expand(-1, -1, *L.shape[-2:]))[:, None]


@pytest.fixture
def gray():
    return torch.linspace(0.3, 0.7, 48).expand(1, 3, 32, 48).contiguous()


def gray_file(height: int, width: int, kind: str) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (width, height), (99, 99, 99)).save(stream, kind)
    return stream.getvalue()


def ask(studio, **changes):
    """What the page does: a message with all that changed, bytes as a buffer."""
    if "upload" in changes:
        changes["upload"] = memoryview(changes["upload"])
    studio.set_state({**changes, "request": studio.request + 1})


def chroma(answer) -> float:
    lab = rgb_to_lab(from_uint8(decode(answer["png"]))[None])
    return lab[:, 1:].norm(dim=1).mean().item()


def test_the_answer_is_the_models_on_the_lightness_alone(gray):
    red = gray * torch.tensor([1.0, 0.6, 0.6]).view(1, 3, 1, 1)
    studio = Studio({"one": One()}, red)
    wanted = to_uint8(One().colorize(lightness(red)))[0].astype(int)
    (answer,) = studio.answers
    assert np.abs(decode(answer["png"]) - wanted).max() <= 1
    assert np.ptp(decode(studio.gray), axis=-1).max() == 0
    assert answer["spread"] is None, "one answer has no spread, and there is no score"
    assert not studio.failed and "48 x 32" in studio.status


def test_saturation_scales_chroma_and_asks_no_model_again(gray):
    model = One()
    studio = Studio({"one": model}, gray)
    before = chroma(studio.answers[0])
    ask(studio, saturation=0.5)
    assert chroma(studio.answers[0]) == pytest.approx(before / 2, abs=0.5)
    ask(studio, saturation=0.0)
    assert chroma(studio.answers[0]) < 0.5
    assert model.calls == 1


def test_a_seed_is_a_draw_and_the_spread_is_shown(gray):
    model = Many()
    studio = Studio({"one": One(), "many": model}, gray, chosen=["many"])
    first = studio.answers[0]["png"]
    draws = rgb_to_lab(Many().sample(studio._L, 4, torch.Generator().manual_seed(0))[:, 0])[:, 1:]
    spread = (draws - draws.mean(0)).pow(2).sum(1).mean(0).sqrt().mean()
    assert f"4 draws spread by {spread:.1f} " in studio.answers[0]["told"] and DRAWS == 4
    flat = decode(studio.answers[0]["spread"])
    assert np.ptp(flat, axis=(0, 1)).max() <= 2, "the same spread everywhere"
    ask(studio, seed=1)
    assert studio.answers[0]["png"] != first
    ask(studio, seed=0)
    assert studio.answers[0]["png"] == first
    ask(studio, chosen=["many", "one"])
    assert [a["name"] for a in studio.answers] == ["one", "many"], "in the order offered"


def test_an_upload_and_a_path_are_opened(gray, tmp_path):
    model = One()
    studio = Studio({"one": model})
    assert studio.answers == [] and "Choose a photograph" in studio.status
    ask(studio, upload=gray_file(20, 30, "JPEG"), upload_name="old.jpg")
    assert "old.jpg: 30 x 20" in studio.status
    assert studio.answers[0]["file"] == "old-one.png"
    assert studio.upload == b"", "taken once"
    file = tmp_path / "älter.png"
    file.write_bytes(gray_file(24, 16, "PNG"))
    ask(studio, path=str(file))
    assert "älter.png: 16 x 24" in studio.status and studio.path == ""
    assert model.calls == 2


def test_what_cannot_be_read_is_told_in_a_sentence_and_the_old_picture_stays(gray, tmp_path):
    studio = Studio({"one": One()}, gray, name="mine")
    before = studio.answers
    bad = "<img src=x>.png"
    ask(studio, upload=b"no picture at all", upload_name=bad)
    assert studio.failed and "<img src=x>.png" in studio.status
    assert studio.answers == before and studio.name == "mine"
    ask(studio, path=str(tmp_path / "nowhere.png"))
    assert studio.failed and "nowhere.png" in studio.status
    ask(studio, saturation=1.5)
    assert not studio.failed and studio.status.startswith("mine: ")


def test_a_large_picture_is_made_smaller(gray):
    studio = Studio({"one": One()}, torch.rand(3, 300, 2 * LONGEST))
    assert decode(studio.gray).shape == (150, LONGEST, 3)


def test_models_are_loaded_when_first_chosen_and_a_failure_is_told(gray):
    loads = []

    def load():
        loads.append(1)
        if len(loads) == 1:
            raise FileNotFoundError("no checkpoint late")
        return One()

    studio = Studio({"one": One(), "late": load}, gray)
    assert not loads
    ask(studio, chosen=["late"])
    assert studio.failed and studio.status == "Not coloured: no checkpoint late"
    ask(studio, chosen=[])
    assert studio.answers == [] and not studio.failed
    for chosen in (["late"], ["one", "late"]):
        ask(studio, chosen=chosen)
    assert len(loads) == 2 and len(studio.answers) == 2
    with pytest.raises(ValueError, match="among the models"):
        Studio({"one": One()}, gray, chosen=["two"])


def test_a_page_without_a_kernel_shows_gray_and_the_answer(gray):
    data, metadata = Studio({"one": One()}, gray, name="x")._repr_mimebundle_()
    assert decode(data["image/jpeg"]).shape == (32, 96, 3)
    assert metadata["image/jpeg"]["alt"] == "Left, x in gray; right, coloured by one."
    data, _ = Studio({"one": One()})._repr_mimebundle_()
    assert "image/jpeg" not in data
