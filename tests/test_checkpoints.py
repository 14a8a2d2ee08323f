"""Released weights: what is saved comes back; what is damaged, forged or absurd is refused."""

import errno
import hashlib
import io
import json
import os
import pickle
import random
import struct

import pytest
import torch
from PIL import Image
from safetensors.torch import save as write_tensors
from tiny import same

import colorlab
from colorlab import cards, checkpoints
from colorlab.__main__ import main
from colorlab.models import MODELS, build

STEM = "unet-ab-scenes"


def small(seed: int = 0):
    torch.manual_seed(seed)
    model = build("unet", size=64, widths=(8, 8, 8, 8))
    torch.nn.init.normal_(model.head.project.weight, std=0.05)
    return model


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> tuple[bytes, bytes]:
    """The bytes of a small checkpoint's weights and of its card."""
    file = checkpoints.save(small(), "scenes", {"seed": 0}, tmp_path_factory.mktemp("weights"))
    return file.read_bytes(), file.with_suffix(".json").read_bytes()


@pytest.fixture
def place(tmp_path):
    """Write weights and card, and give the path of the weights."""

    def put(weights: bytes, card: bytes):
        file = tmp_path / f"{STEM}.safetensors"
        file.write_bytes(weights)
        file.with_suffix(".json").write_bytes(card)
        return file

    return put


def resealed(weights: bytes, card: bytes, **changes) -> bytes:
    """A card that a forger has made fit: right hash, right seal."""
    fields = json.loads(card) | {"sha256": hashlib.sha256(weights).hexdigest()} | changes
    return json.dumps(fields | {"settings_sha256": cards.seal(fields)}).encode()


def refused(file, match: str | None = None) -> str:
    """Load, which must raise a ValueError of one line that names the file."""
    with pytest.raises(ValueError, match=match) as raised:
        checkpoints.load(str(file))
    told = str(raised.value)
    assert file.stem in told and "\n" not in told and len(told) < 700
    return told


# ---- what is saved comes back


def test_what_is_saved_comes_back_by_any_of_its_names(files, place):
    file, model = place(*files), small()
    L = 100 * torch.rand(1, 1, 64, 64)
    for name, more in (("unet", {"world": "scenes"}), (STEM, {}), (str(file), {})):
        loaded = checkpoints.load(name, **more, folder=file.parent)
        assert loaded.config == model.config and not loaded.training
        # Half precision keeps 11 bits.
        assert (loaded.colorize(L) - model.colorize(L)).abs().max() < 0.01
    card = json.loads(files[1])
    assert (card["model"], card["config"]["widths"]) == ("unet", [8, 8, 8, 8])
    assert card["intended_use"] and card["limits"]
    assert card["code_version"].startswith(colorlab.__version__)
    with pytest.raises(FileNotFoundError, match=f"there are: {STEM}; name the file"):
        checkpoints.load("resnet", folder=file.parent)


def test_eight_bits_halve_the_matrices_and_come_back_within_a_sixteenth(tmp_path, files):
    model = small()
    file = checkpoints.save(model, "scenes", {}, tmp_path, eight_bit=True)
    assert file.stat().st_size < 0.7 * len(files[0])
    loaded = checkpoints.load(str(file)).state_dict()
    for key, value in model.state_dict().items():
        # Three bits behind the leading one, so half a step is 1/16; near 0 steps are 1/512.
        torch.testing.assert_close(loaded[key], value, rtol=1 / 16, atol=1 / 1024)


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
    assert checkpoints.find(stem).stat().st_size <= checkpoints.MAX_BYTES
    L = torch.linspace(0, 100, 64 * 64).reshape(1, 1, 64, 64)
    rgb = model.colorize(L)
    assert (rgb - rgb.mean(1, keepdim=True)).abs().max() > 0.01, "released weights give colour"


# ---- damaged files


def test_cut_or_with_a_flipped_bit(files, place):
    weights, card = files
    for tenth in (0, 1, 5, 9):
        cut = weights[: len(weights) * tenth // 10]
        refused(place(cut, card), "SHA-256")
        refused(place(cut, resealed(cut, card)), "not a safetensors file")
        refused(place(weights, card[: len(card) * tenth // 10]), "not a model card")
    places = random.Random(0)
    for at in (0, 8, len(weights) // 2, len(weights) - 1):
        flipped = bytearray(weights)
        flipped[at] ^= 1 << places.randrange(8)
        refused(place(bytes(flipped), card), "SHA-256")
    want = checkpoints.load(str(place(weights, card)))
    noticed = 0
    for at in range(0, len(card), 9):
        flipped = bytearray(card)
        flipped[at] ^= 1 << places.randrange(8)
        file = place(weights, bytes(flipped))
        try:
            got = checkpoints.load(str(file))
        except ValueError as error:
            told = str(error)
        else:  # in a field that tells a reader something and the loader nothing
            assert got.config == want.config and same(got, want)
            continue
        assert file.stem in told and "\n" not in told
        noticed += 1
    assert noticed > 30


class Bomb:
    def __reduce__(self):
        return (os.abort, ())


def torch_file() -> bytes:
    stream = io.BytesIO()
    torch.save({"weight": Bomb()}, stream)
    return stream.getvalue()


@pytest.mark.parametrize("make", [lambda: pickle.dumps(Bomb()), torch_file], ids=["pickle", "pt"])
def test_a_pickle_of_any_name_is_refused_and_never_run(files, place, tmp_path, make):
    """As the weights, with a card made to fit, as the card, and under its own name."""
    content = make()
    refused(place(content, files[1]), "SHA-256")
    refused(place(content, resealed(content, files[1])), "not a safetensors file")
    refused(place(files[0], content), "not a model card")
    for suffix in (".pt", ".pth", ".pkl", ".bin", ".ckpt"):
        (tmp_path / f"unet{suffix}").write_bytes(content)
        refused(tmp_path / f"unet{suffix}", "may be a pickle")


# ---- forged weights


def header(entries: dict, data: bytes = b"") -> bytes:
    text = json.dumps(entries).encode()
    return struct.pack("<Q", len(text)) + text + data


ONE = {"dtype": "F16", "shape": [2], "data_offsets": [0, 4]}
LIES = {
    "a huge header": struct.pack("<Q", 2**62) + b"{}",
    "no header": b"\0" * 8,
    "offsets that overlap": header({"a": ONE, "b": {**ONE, "data_offsets": [2, 6]}}, b"\0" * 6),
    "offsets past the end": header({"a": {**ONE, "data_offsets": [0, 400]}}, b"\0" * 4),
    "a shape larger than its bytes": header({"a": {**ONE, "shape": [2**40]}}, b"\0" * 4),
    "a shape that overflows": header({"a": {**ONE, "shape": [2**33, 2**33]}}, b"\0" * 4),
    "an unknown type": header({"a": {**ONE, "dtype": "PICKLE"}}, b"\0" * 4),
    "a header of brackets": struct.pack("<Q", 200_000) + b"[" * 200_000,
}


@pytest.mark.parametrize("lie", LIES)
def test_a_header_that_lies(files, place, lie):
    refused(place(LIES[lie], resealed(LIES[lie], files[1])))


NAME = "head.project.weight"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda tensors: tensors.pop(NAME), f"'{NAME}' is missing"),
        (lambda tensors: tensors.update(more=torch.zeros(3)), "'more' has no place"),
        (lambda tensors: tensors.update({NAME: tensors[NAME][:, :2].contiguous()}), f"'{NAME}' is"),
        (lambda tensors: tensors[NAME].fill_(float("nan")), "not finite"),
        (lambda tensors: tensors.update({NAME: tensors[NAME].to(torch.complex64)}), f"'{NAME}' is"),
        (lambda tensors: tensors.clear(), "is missing"),
    ],
    ids=["missing", "extra", "another shape", "NaN", "complex", "none at all"],
)
def test_tensors_that_do_not_fit_are_named(files, place, change, told):
    tensors = {k: v.half() if v.is_floating_point() else v for k, v in small().state_dict().items()}
    change(tensors)
    weights = write_tensors(tensors)
    refused(place(weights, resealed(weights, files[1])), told)


@pytest.mark.parametrize("model", cards.METHODS)
def test_weights_of_a_method_that_are_another_s(files, place, model):
    changes = {"model": model, "config": {}}
    refused(place(files[0], resealed(*files, **changes)), "want tensors named")
    empty = write_tensors({"ab": torch.zeros(0), "settings": torch.zeros(0)})
    refused(place(empty, resealed(empty, files[1], **changes)), "does not fit")


# ---- cards that lie


def test_cards_that_are_none(files, place):
    weights, card = files
    fields = json.loads(card)
    cases = [
        *(b"[]", b"", b"not json", b"[" * 1_000_000),
        card.replace(b'"seed": 0', b'"seed": ' + b"9" * 100_000),
        json.dumps({**fields, "world": "sceñes"}, ensure_ascii=False).encode("latin-1"),
        card.replace(b'"fold": 4', b'"fold": 8'),  # the seal is broken
    ]
    for field in ("format", "model", "target", "world", "config", "sha256"):
        cases.append(resealed(weights, card).replace(f'"{field}"'.encode(), b'"other"', 1))
        cases += [json.dumps({**fields, field: wrong}).encode() for wrong in (None, [], "../x", -1)]
    for text in cases:
        assert "fetch it again" in refused(place(weights, text))
    refused(place(weights, resealed(weights, card, format=2)), "newer than this code; update")
    file = place(weights, card)
    file.with_suffix(".json").unlink()
    with pytest.raises(FileNotFoundError, match="is missing"):
        checkpoints.load(str(file))


CONFIGS = {
    "unknown setting": ({"wdith": 3}, "wdith"),
    "text for a number": ({"size": "64"}, "size"),
    "truth for a number": ({"size": True}, "size"),
    "a number for truth": ({"attention": 1}, "attention"),
    "too few widths": ({"widths": [8, 8, 8]}, "widths"),
    "negative widths": ({"widths": [-8, 8, 8, 8]}, r"does not fit its card \(unet\)"),
    "a size past all sense": ({"size": 10**9}, "size"),
    "an endless number": ({"dropout": 1e300}, "dropout"),
    "gigabytes of weights": ({"widths": [20_000, 20_000, 20_000, 20_000]}, "more than 33,554,432"),
    "one giant layer": ({"widths": [8, 8, 8, 99_999]}, "more than 33,554,432"),
    "a fold there is not": ({"fold": 5}, "fold"),
}


@pytest.mark.parametrize("kind", CONFIGS)
def test_settings_that_are_none_are_refused_before_memory_is_taken(files, place, kind, monkeypatch):
    config, tells = CONFIGS[kind]
    largest = [0]
    empty = torch.empty

    def watched(*size, **more):
        made = empty(*size, **more)
        largest.append(made.numel())
        return made

    monkeypatch.setattr(torch, "empty", watched)
    whole = json.loads(files[1])["config"]
    refused(place(files[0], resealed(*files, config={**whole, **config})), tells)
    assert max(largest) < 2**25, "no more than 128 MiB were asked for"


@pytest.mark.parametrize(
    "bases",
    [
        [],
        {"unet": {"checkpoint": "unet-ab-scenes"}},
        {"unet": {"checkpoint": "../../unet-ab-scenes", "sha256": "0" * 64}},
        {"unet": {"checkpoint": "diffusion-ab-scenes", "sha256": "0" * 64}},
        {"unet": {"checkpoint": "unet-ab-scenes", "sha256": "x"}},
        {"encoder": {"checkpoint": "unet-ab-scenes", "sha256": "0" * 64}},
        {"unet": {"checkpoint": "unet-ab-nowhere", "sha256": "0" * 64}},
    ],
    ids=json.dumps,
)
def test_a_network_to_stand_on_that_is_none(files, place, bases):
    changes = {"model": "diffusion", "config": {}, "stands_on": bases}
    refused(place(files[0], resealed(*files, **changes)), "stands on")


def test_files_past_the_limit_are_not_read(files, place):
    for suffix, told in ((".safetensors", "8,388,608 bytes"), (".json", "1,048,576 bytes")):
        file = place(*files)
        with open(file.with_suffix(suffix), "r+b") as stream:
            stream.truncate(1 << 40)  # a terabyte of holes
        refused(file, f"more than {told}")


# ---- names and links


@pytest.mark.parametrize(
    "name", ["../../x", "/etc/passwd", "unet\0", "unet-ab-../x", "", "a\nb", "unet-ab-photos-more"]
)
def test_names_that_climb_out(tmp_path, name):
    inside = tmp_path / "inside"
    with pytest.raises(ValueError, match="is no checkpoint's name"):
        checkpoints.load(name, folder=inside)
    with pytest.raises(ValueError, match=r"world|for"):
        checkpoints.save(small(), name, {}, inside)
    assert not inside.exists()


def test_links(files, place, tmp_path):
    file = place(*files)
    other = tmp_path / "resnet-ab-scenes.safetensors"
    other.symlink_to(file)
    other.with_suffix(".json").symlink_to(file.with_suffix(".json"))
    assert type(checkpoints.load(str(other))).__name__ == "UNet"
    (tmp_path / "vae-ab-scenes.safetensors").symlink_to("vae-ab-scenes.safetensors")
    with pytest.raises(FileNotFoundError, match="no checkpoint"):
        checkpoints.load("vae-ab-scenes", folder=tmp_path)
    precious = tmp_path / "precious"
    precious.write_text("mine")
    for name in ("safetensors", "safetensors.part", "json", "json.part"):
        (tmp_path / f"unet-ab-photos.{name}").symlink_to(precious)
    checkpoints.save(small(), "photos", {}, tmp_path)
    checkpoints.load("unet", folder=tmp_path)
    assert precious.read_text() == "mine"


def test_a_name_that_commands_the_terminal(files, tmp_path, capsys):
    file = tmp_path / "\x1b[31m\nred\u202e.safetensors"
    file.write_bytes(files[0])
    file.with_suffix(".json").write_bytes(b"{")
    picture = tmp_path / "gray.png"
    Image.new("L", (32, 32)).save(picture)
    words = ("colorize", str(picture), "-o", str(tmp_path / "out"), "--model", str(file))
    assert main(list(words)) == 2
    told = capsys.readouterr().err
    assert told.endswith("\n") and told[:-1].isprintable()
    assert r"\x1b[31m\nred\u202e.json is not a model card" in told


# ---- saves that end half-way


class Killed(BaseException):
    pass


@pytest.mark.parametrize("error", [Killed(), PermissionError(errno.EACCES, "denied")])
@pytest.mark.parametrize("moves", [0, 1])
def test_a_save_that_ends_between_two_moves_leaves_a_pair_that_fits(
    files, place, tmp_path, moves, error, monkeypatch
):
    """Before the first move all is old; after it the new card waits beside the old one."""
    old = checkpoints.load(str(place(*files)))
    replace, done = os.replace, []

    def stops(*paths):
        if len(done) == moves:
            raise error
        done.append(paths)
        replace(*paths)

    monkeypatch.setattr(os, "replace", stops)
    with pytest.raises((Killed, OSError)):
        checkpoints.save(small(1), "scenes", {"seed": 1}, tmp_path)
    monkeypatch.undo()
    got = checkpoints.load(STEM, folder=tmp_path).state_dict()
    card = cards.read_card(tmp_path / f"{STEM}.safetensors")
    new = {k: v.half().float() for k, v in small(1).state_dict().items()}
    want = new if moves else old.state_dict()
    assert all(torch.equal(got[k], want[k]) for k in want)
    assert card["seed"] == moves
    checkpoints.save(small(), "scenes", {"seed": 2}, tmp_path)
    assert sorted(p.suffix for p in tmp_path.iterdir()) == [".json", ".safetensors"]


def test_a_save_that_fails_overwrites_nothing(files, place, tmp_path, monkeypatch):
    file, model = place(*files), small()

    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match=rf"cannot write .*{STEM}"):
            checkpoints.save(model, "scenes", {}, tmp_path)
    for facts in ({"loss": float("nan")}, {"told": "x" * 2**20}):
        with pytest.raises(ValueError, match=r"card of this unet|JSON compliant"):
            checkpoints.save(model, "scenes", facts, tmp_path)
    with torch.no_grad():
        model.head.project.weight.fill_(1e6)  # half precision cannot hold it
    with pytest.raises(ValueError, match="not finite"):
        checkpoints.save(model, "scenes", {}, tmp_path)
    assert (file.read_bytes(), file.with_suffix(".json").read_bytes()) == files
    assert len(os.listdir(tmp_path)) == 2
