"""What the checks of lessons 04 and 05 say to plausible wrong answers."""

from __future__ import annotations

import pytest
from course import FOLDER, read, source, tool

EXERCISES = tool("exercises")

REZERO = """
class ReZero(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.f = nn.Sequential(
            ConvBlock(channels, channels), nn.Conv2d(channels, channels, 3, padding=1)
        )
        self.alpha = {alpha}

    def forward(self, x):
        return {result}
"""
FIELD = """
def receptive_field(layers):
    field, jump = 1, 1
    for kernel, stride in layers:
        {one}
        {two}
    return field
"""
NORMALIZE = """
class Normalize(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.register_buffer("mean", torch.zeros(1, channels, 1, 1))
        self.register_buffer("variance", torch.ones(1, channels, 1, 1))

    def forward(self, x):
        mean, variance = self.mean, self.variance
        if {when}:
            mean = x.mean(dim=(0, 2, 3), keepdim=True)
            variance = x.var(dim=(0, 2, 3), keepdim=True, correction={correction})
            self.mean = {keep} * self.mean + (1 - {keep}) * mean.detach()
            self.variance = {keep} * self.variance + (1 - {keep}) * variance.detach()
        return (x - mean) / (variance + 1e-5).sqrt()
"""
PIPELINE = """
def to_network(L):
    return {L}


def to_target(ab):
    return ab / 110


def mirrored(L, ab):
    return {mirrored}
"""
DOUBLED = """
def doubled(x):
    left, right = np.append({first}, x[:-1]), np.append(x[1:], {last})
    pairs = ({near} * x + {far} * left, {near} * x + {far} * right)
    return np.stack(pairs, axis=1).reshape(-1)
"""
LOSS = "def expected_loss(x, ab, prob, q):\n    return {0}"
ATTEND = "def attend(q, k, v):\n    return {0}"
CONV = "def conv_parameters(in_channels, out_channels, kernel, bias=True):\n    return {0}"
STEP = """
def decoder_step(x, skip, merge):
    up = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
    return merge({0})
"""
MEAN = "x + self.alpha * self.f(x)"
RIGHT = "nn.Parameter(torch.zeros(1))"
WRONG = [
    (
        "04",
        1,
        FIELD.format(one="jump *= stride", two="field += (kernel - 1) * jump"),
        "a stride of 2",
    ),
    (
        "04",
        1,
        FIELD.format(one="field += kernel * jump", two="jump *= stride"),
        "one 3x3 convolution",
    ),
    ("04", 2, REZERO.format(alpha="torch.zeros(1)", result=MEAN), "an nn.Parameter"),
    (
        "04",
        2,
        REZERO.format(alpha="nn.Parameter(torch.zeros(1, channels, 1, 1))", result=MEAN),
        "one number for the whole block",
    ),
    ("04", 2, REZERO.format(alpha="nn.Parameter(torch.ones(1))", result=MEAN), "x itself"),
    ("04", 2, REZERO.format(alpha=RIGHT, result="x + 0 * self.alpha"), "gets no gradient"),
    ("04", 3, CONV.format("in_channels * out_channels * kernel + bias"), "3 x 9"),
    ("04", 3, CONV.format("in_channels * out_channels * kernel**2 + bias"), "each output channel"),
    ("04", 4, NORMALIZE.format(when="self.training", correction=1, keep=0.9), "number of values"),
    ("04", 4, NORMALIZE.format(when="self.training", correction=0, keep=0.1), "a tenth of the way"),
    ("04", 4, NORMALIZE.format(when="True", correction=0, keep=0.9), "in use"),
    ("04", 5, PIPELINE.format(L="L / 100", mirrored="L.flip(-1), ab"), "still broken"),
    ("04", 5, PIPELINE.format(L="L / 100", mirrored="L.flip(-1), ab.flip(-1)"), "to_network was"),
    ("04", 5, PIPELINE.format(L="L / 50 - 1", mirrored="L, ab.flip(-1)"), "L must be mirrored"),
    ("04", 5, PIPELINE.format(L="L / 50 - 1", mirrored="L.flip(-1), ab.flip(-2)"), "same axis"),
    ("04", 6, "my_layers = [(3, 2, 64), (3, 2, 64)]", "does not cover"),
    ("04", 6, "my_layers = [(3, 2, 128), (3, 2, 128)] + [(3, 1, 128)] * 4", "too many weights"),
    ("04", 6, "my_layers = [(3, 4, 64)] + [(3, 1, 64)] * 4", "as wide as the stride"),
    ("05", 1, LOSS.format("float(prob @ (np.abs(ab - x) ** q).sum(axis=1))"), "Euclidean norm"),
    (
        "05",
        1,
        LOSS.format("float((np.linalg.norm(ab - x, axis=1) ** q).mean())"),
        ".25, .25, .4, .1",
    ),
    (
        "05",
        1,
        LOSS.format("float(prob @ np.linalg.norm(ab - x, axis=1) ** q) ** (1 / q)"),
        "no root at the end",
    ),
    ("05", 1, LOSS.format("float((prob @ np.linalg.norm(ab - x, axis=1)) ** q)"), "mean after"),
    ("05", 1, LOSS.format("float(prob @ np.linalg.norm(ab, axis=1) ** q)"), "subtract x"),
    ("05", 2, "my_prob = [0.6, 0.2, 0.2]", "below 50 %"),
    ("05", 2, "my_prob = [0.45, 0.5, 0.05]", "not red yet"),
    ("05", 3, DOUBLED.format(first="0", last="0", near=0.75, far=0.25), "equal values"),
    ("05", 3, DOUBLED.format(first="x[0]", last="x[-1]", near=0.5, far=0.5), "1 and 3"),
    ("05", 4, ATTEND.format("(q @ k.T / q.shape[1] ** 0.5).softmax(dim=0) @ v"), "sum to 1"),
    ("05", 4, ATTEND.format("(q @ k.T).softmax(dim=1) @ v"), "root of d"),
    ("05", 4, ATTEND.format("(q @ k.T / q.shape[1]).softmax(dim=1) @ v"), "twice"),
    ("05", 5, STEP.format("torch.cat((up, up), dim=1)"), "does not depend"),
    ("05", 5, STEP.format("up + skip"), "2C channels"),
    ("05", 5, STEP.format("torch.cat((skip, up), dim=1)"), "first C channels"),
    ("05", 6, "my_ab, my_p = [[40, 20], [38, 22], [70, 50]], [0.35, 0.3, 0.35]", "too vivid"),
    ("05", 6, "my_ab, my_p = [[1, 0], [0, 1], [70, 50]], [0.35, 0.3, 0.35]", "close to gray"),
    ("05", 6, "my_ab, my_p = [[10, 5], [8, 8], [20, 20]], [0.35, 0.3, 0.35]", "twice"),
]


@pytest.mark.parametrize(("lesson", "number", "answer", "says"), WRONG)
def test_a_wrong_answer_is_told_what_is_wrong(lesson, number, answer, says, capsys):
    (file,) = (FOLDER / "solutions").glob(f"{lesson}_*.ipynb")
    notebook = read(file)
    pairs = EXERCISES.pairs(notebook)
    solved = [cell for pair in pairs for cell in pair]
    names: dict = {}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code" and cell not in solved:
            exec(source(cell), names)
    _, check = pairs[number - 1]
    exec(answer, names)
    exec(source(check), names)
    told = capsys.readouterr().out
    assert told.startswith("Not yet: ") and says in told
