"""`colorlab colorize`: files in, coloured files out, nothing lost."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.color import rgb2lab

from colorlab import checkpoints
from colorlab.__main__ import main
from colorlab.models import build


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> str:
    torch.manual_seed(0)
    model = build("unet", size=64, widths=(8, 16, 16, 16))
    torch.nn.init.constant_(model.head.project.bias, 0.1)  # a flat warm tint
    return str(checkpoints.save(model, "photos", {}, tmp_path_factory.mktemp("weights")))


@pytest.fixture
def gray(tmp_path):
    ramp = np.linspace(60, 180, 70 * 90).reshape(70, 90).astype(np.uint8)
    file = tmp_path / "in" / "a name with spaces.png"
    file.parent.mkdir()
    Image.fromarray(ramp).save(file)
    return file


def test_one_file_is_colored_at_its_own_size_and_lightness(gray, weights, tmp_path):
    out = tmp_path / "out.png"
    assert main(["colorize", str(gray), "-o", str(out), "--model", weights]) == 0
    colored = np.asarray(Image.open(out))
    assert colored.shape == (70, 90, 3)
    before = rgb2lab(np.stack([np.asarray(Image.open(gray))] * 3, axis=-1))
    after = rgb2lab(colored)
    assert np.abs(after[..., 0] - before[..., 0]).max() < 1
    assert np.hypot(*after[..., 1:].mean((0, 1))) > 5


def test_a_folder_goes_on_past_a_bad_file(gray, weights, tmp_path, capsys):
    bad = gray.with_name("broken.jpg")
    bad.write_bytes(b"not a picture")
    out = tmp_path / "out"
    assert main(["colorize", str(gray.parent), "-o", str(out), "--model", weights]) == 1
    told = capsys.readouterr().out
    assert "1 of 2" in told
    assert "broken.jpg" in told
    assert [file.name for file in out.iterdir()] == ["a name with spaces.png"]


def test_nothing_is_overwritten(gray, weights, tmp_path, capsys):
    arguments = ["colorize", str(gray), "--model", weights, "-o"]
    assert main([*arguments, str(gray)]) == 2
    assert "is an input" in capsys.readouterr().err
    out = tmp_path / "out.png"
    out.write_bytes(b"mine")
    assert main([*arguments, str(out)]) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert out.read_bytes() == b"mine"
    assert main([*arguments, str(out), "--overwrite"]) == 0
    assert out.read_bytes() != b"mine"


def test_two_inputs_with_one_name_are_refused(gray, weights, tmp_path, capsys):
    twin = tmp_path / "other" / gray.name
    twin.parent.mkdir()
    twin.write_bytes(gray.read_bytes())
    files = [str(gray), str(twin)]
    assert main(["colorize", *files, "-o", str(tmp_path / "out"), "--model", weights]) == 2
    assert "two inputs" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", ["nothing.png", "empty"])
def test_a_missing_input_is_named(wrong, weights, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    place = str(tmp_path / wrong)
    assert main(["colorize", place, "-o", str(tmp_path / "o"), "--model", weights]) == 2
    assert wrong in capsys.readouterr().err


def test_an_output_that_cannot_be_is_refused_before_any_work(gray, weights, tmp_path, capsys):
    arguments = ["colorize", str(gray), "--model", weights, "-o"]
    assert main([*arguments, str(tmp_path / "out.xyz")]) == 2
    assert "out.xyz ends in no known kind of picture; try .png" in capsys.readouterr().err
    (tmp_path / "file").write_bytes(b"mine")
    assert main([*arguments, str(tmp_path / "file")]) == 2
    assert "file is no folder" in capsys.readouterr().err
    assert (tmp_path / "file").read_bytes() == b"mine"


def test_a_folder_whose_name_has_a_dot_is_a_folder(gray, weights, tmp_path):
    out = tmp_path / "out.v2"
    out.mkdir()
    assert main(["colorize", str(gray), "-o", str(out), "--model", weights]) == 0
    assert (out / "a name with spaces.png").is_file()


def test_hidden_files_are_left_alone_and_links_are_followed(gray, weights, tmp_path):
    gray.with_name("._a name.png").write_bytes(b"macOS writes such files")
    gray.with_name("link.jpg").symlink_to(gray.name)
    out = tmp_path / "out"
    assert main(["colorize", str(gray.parent), "-o", str(out), "--model", weights]) == 0
    assert sorted(file.name for file in out.iterdir()) == ["a name with spaces.png", "link.png"]


def test_an_input_is_recognised_through_a_link(gray, weights, tmp_path, capsys):
    (tmp_path / "link").symlink_to(gray.parent)
    out = tmp_path / "link" / gray.name
    arguments = ["colorize", str(gray), "--model", weights, "--overwrite", "-o", str(out)]
    assert main(arguments) == 2
    assert "is an input" in capsys.readouterr().err


def test_without_a_place_the_answer_lies_beside_the_input(gray, weights, capsys):
    assert main(["colorize", str(gray), "--model", weights]) == 0
    beside = gray.with_name("a name with spaces-colored.png")
    assert beside.is_file()
    assert beside.name in capsys.readouterr().out
    assert main(["colorize", str(gray), "--model", weights]) == 2, "nor is that overwritten"
    assert "add --overwrite" in capsys.readouterr().err


def test_saturation_is_a_factor_on_the_colours(gray, weights, tmp_path, capsys):
    chroma = []
    for factor in ("0", "1", "2"):
        out = tmp_path / f"{factor}.png"
        words = ["colorize", str(gray), "-o", str(out), "--model", weights, "--saturation", factor]
        assert main(words) == 0
        chroma.append(np.hypot(*rgb2lab(np.asarray(Image.open(out)))[..., 1:].mean((0, 1))))
    assert chroma[0] < 0.1
    assert chroma[2] == pytest.approx(2 * chroma[1], rel=0.1)
    for wrong in ("-1", "nan", "inf"):
        assert main(["colorize", str(gray), "--model", weights, "--saturation", wrong]) == 2
        assert "--saturation must be 0 or more" in capsys.readouterr().err


def test_saturation_is_refused_where_there_is_no_ab(gray, capsys):
    assert main(["colorize", str(gray), "--model", "lut", "--saturation", "2"]) == 2
    assert "for networks that predict ab, not for lut" in capsys.readouterr().err


def test_without_a_model_the_safest_is_turned_up_by_its_cards_factor(gray, tmp_path, monkeypatch):
    torch.manual_seed(0)
    model = build("unet", size=64, widths=(8, 16, 16, 16))
    torch.nn.init.constant_(model.head.project.bias, 0.1)
    assert checkpoints.save(model, "photos", {"boost": {"vivid": 2.0}}, tmp_path).stem.startswith(
        checkpoints.SAFEST
    )
    monkeypatch.setattr(checkpoints, "FOLDER", tmp_path)
    vivid, safest, asked = (tmp_path / f"{name}.png" for name in ("vivid", "safest", "asked"))
    assert main(["colorize", str(gray), "-o", str(vivid)]) == 0
    words = ["colorize", str(gray), "--model", checkpoints.SAFEST]
    assert main([*words, "-o", str(safest)]) == 0
    assert main([*words, "-o", str(asked), "--saturation", "2"]) == 0
    assert vivid.read_bytes() == asked.read_bytes() != safest.read_bytes()
