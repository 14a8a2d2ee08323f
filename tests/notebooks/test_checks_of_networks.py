"""What the checks of lessons 04 to 09 say to plausible wrong answers."""

from __future__ import annotations

import functools

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
NO_MEAN = NORMALIZE.format(when="self.training", correction=0, keep=0.9).replace(
    "(x - mean)", "(x - self.training * mean)"
)
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
LOSS_OF_D = "def my_loss(d):\n    return {0}"
DIAGNOSE = """
def diagnose(step):
    x, skip = torch.randn({images}, 8, 4, 4), torch.randn({images}, 8, 8, 8)
    changed = skip.clone()
    {change}
    moved = (step(x, changed) - step(x, skip)).abs().sum(dim=1) > 1e-6
    if not moved.any():
        return "ignores skip"
    if not moved[-1].any():
        return "wrong image"
    return {last}
"""
ENERGY = """
def energy(draws, truth):
    n = len(draws)
    near = np.linalg.norm(draws - {truth}, axis=1).mean()
    return near - np.linalg.norm(draws[:, None] - draws, axis=-1).sum() / {pairs}
"""
POSTERIOR = "my_means, my_stds = {0}, {1}"
GUMBEL = "def gumbel_category(prob, u):\n    return {0}"
KL = "def kl_of_categories(q, p):\n    t = q > 0\n    return {0}"
CORRELATION = "def my_correlation(distance):\n    return {0}"
GAN_LOSSES = "def losses(D, real, fake):\n    return {0}, {1}"
UPSAMPLER = """
def my_upsampler():
    def conv(*channels):
        return nn.Conv2d(*channels, 3, padding=1)

    def up(mode, factor=2):
        return nn.Upsample(scale_factor=factor, mode=mode)

    def transposed(*channels):
        return nn.ConvTranspose2d(*channels, 4, stride=2, padding=1)

    return nn.Sequential({0})
"""
TWO_ERRORS = """
def two_errors(ab, prob):
    squared = ((ab[:, None] - ab) ** 2).sum(axis=-1)
    return {0}
"""
COUNT = """
def count_logits(size, layers):
    for kernel, stride in layers:
        size = {0}
    return size**2
"""
SHIFT = """
def lowest_error(ab, prob, share):
    cost = ((ab[:, None] - ab) ** 2).sum(axis=-1) @ prob
    q = prob.copy()
    moved = {0}
    q[cost.argmax()] -= moved
    q[cost.argmin()] += moved
    return q
"""
FAULT = """
def name_fault(chosen, prob):
    same = {same}
    share = np.bincount(chosen.ravel(), minlength=3) / chosen.size
    dropped = {dropped}
    if same and dropped:
        return "both"
    return "deterministic" if same else "drops modes" if dropped else "neither"
"""
REPEATED = "(chosen == chosen[:, :1]).all()"
RARE = "(share < prob / 4).any()"
ONE_POSITION = "changed[-1, :, 3, 4] += 1"
IN_PLACE = "'sound' if moved[-1, 3, 4] else 'wrong position'"
MEAN = "x + self.alpha * self.f(x)"
RIGHT = "nn.Parameter(torch.zeros(1))"
OF_D = "bce(D(real), 1.0) + bce(D(fake.detach()), 0.0)"
OF_G = "bce(D(fake), 1.0)"
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
    ("04", 2, REZERO.format(alpha=RIGHT, result="x + self.alpha * x"), "x + f(x)"),
    ("04", 3, CONV.format("in_channels * out_channels * kernel + bias"), "3 x 9"),
    ("04", 3, CONV.format("in_channels * out_channels * kernel**2 + bias"), "each output channel"),
    (
        "04",
        4,
        NORMALIZE.format(when="self.training", correction=1, keep=0.9),
        "number of values",
    ),
    (
        "04",
        4,
        NORMALIZE.format(when="self.training", correction=0, keep=0.1),
        "a tenth of the way",
    ),
    ("04", 4, NORMALIZE.format(when="True", correction=0, keep=0.9), "in use"),
    (
        "04",
        4,
        NO_MEAN,
        "the running mean",
    ),
    ("04", 5, PIPELINE.format(L="L / 100", mirrored="L.flip(-1), ab"), "still broken"),
    ("04", 5, PIPELINE.format(L="L / 100", mirrored="L.flip(-1), ab.flip(-1)"), "to_network was"),
    ("04", 5, PIPELINE.format(L="L / 50 - 1", mirrored="L, ab.flip(-1)"), "L must be mirrored"),
    ("04", 5, PIPELINE.format(L="L / 50 - 1", mirrored="L.flip(-1), ab.flip(-2)"), "same axis"),
    ("04", 6, "my_layers = [(3, 2, 64), (3, 2, 64)]", "does not cover"),
    ("04", 6, "my_layers = [(3, 2, 128), (3, 2, 128)] + [(3, 1, 128)] * 4", "too many weights"),
    ("04", 6, "my_layers = [(3, 2, 1), (3, 2, 1)] + [(3, 1, 1)] * 7", "fewer than 32"),
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
    ("05", 2, LOSS_OF_D.format("d**2"), "for balloon the best prediction lies between"),
    ("05", 2, LOSS_OF_D.format("d"), "for tent the best prediction lies between"),
    ("05", 2, LOSS_OF_D.format("np.minimum(d, 20)"), "almost no gradient"),
    ("05", 2, LOSS_OF_D.format("-d"), "smallest at 0"),
    ("05", 2, LOSS_OF_D.format("0 * d"), "smallest at 0"),
    ("05", 2, LOSS_OF_D.format("d * np.nan"), "finite number"),
    ("05", 3, DOUBLED.format(first="0", last="0", near=0.75, far=0.25), "equal values"),
    ("05", 3, DOUBLED.format(first="x[0]", last="x[-1]", near=0.5, far=0.5), "1 and 3"),
    ("05", 4, ATTEND.format("(q @ k.T / q.shape[1] ** 0.5).softmax(dim=0) @ v"), "sum to 1"),
    ("05", 4, ATTEND.format("(q @ k.T).softmax(dim=1) @ v"), "root of d"),
    ("05", 4, ATTEND.format("(q @ k.T / q.shape[1]).softmax(dim=1) @ v"), "twice"),
    ("05", 5, "def diagnose(step):\n    return 'sound'", "never uses the encoder's map"),
    ("05", 5, "def diagnose(step):\n    return 'broken'", "one of the four names"),
    (
        "05",
        5,
        DIAGNOSE.format(images=1, change=ONE_POSITION, last="'sound'"),
        "one image of several",
    ),
    (
        "05",
        5,
        DIAGNOSE.format(images=3, change="changed[-1] += 1", last="'sound'"),
        "change one position",
    ),
    (
        "05",
        5,
        DIAGNOSE.format(images=3, change="changed += 1", last="'wrong position'"),
        "a sound decoder",
    ),
    ("05", 6, "my_ab, my_p = [[40, 20], [38, 22], [70, 50]], [0.35, 0.3, 0.35]", "too vivid"),
    ("05", 6, "my_ab, my_p = [[1, 0], [0, 1], [70, 50]], [0.35, 0.3, 0.35]", "close to gray"),
    ("05", 6, "my_ab, my_p = [[10, 5], [8, 8], [20, 20]], [0.35, 0.3, 0.35]", "twice"),
    ("06", 4, ENERGY.format(truth="0", pairs="(2 * n * (n - 1))"), "use the truth given"),
    ("06", 4, ENERGY.format(truth="truth", pairs="(2 * n * n)"), "minus half of 10"),
    ("06", 4, ENERGY.format(truth="truth", pairs="(n * (n - 1))"), "minus half of 10"),
    ("06", 5, "diagnoses = dict.fromkeys('ABCD', 'fine')", "look again at A"),
    ("06", 6, POSTERIOR.format([-2, 0, 2], [0.2] * 3), "wrong frequencies"),
    ("06", 6, POSTERIOR.format([-1.2, 0.15, 1.45], [0.05] * 3), "too many nats"),
    ("06", 6, POSTERIOR.format([-1, 0, 1], [0.6] * 3), "overlap"),
    ("06", 6, POSTERIOR.format([0, 0, 0], [1, 1, 1]), "overlap"),
    ("06", 6, POSTERIOR.format("[np.nan] * 3", [0.3] * 3), "must be finite"),
    ("07", 1, GUMBEL.format("np.random.default_rng().choice(3, len(u), p=prob)"), "the given u"),
    ("07", 1, GUMBEL.format("(np.log(prob) + np.log(u)).argmax(axis=1)"), "add the noise"),
    ("07", 2, "def diagnose(f, L, z, truth):\n    return 'uses both'", "that ignores z"),
    ("07", 4, KL.format("float((p * np.log(p / q)).sum())"), "that is KL(p || q)"),
    ("07", 4, KL.format("float((q[t] * np.log2(q[t] / p[t])).sum())"), "natural logarithm"),
    ("07", 4, KL.format("float((q * np.log(q / p)).sum())"), "0 log 0"),
    ("07", 5, CORRELATION.format("(distance < 6).float()"), "negative eigenvalue"),
    ("07", 5, CORRELATION.format("(distance == 0).float()"), "falls too early"),
    ("07", 5, CORRELATION.format("torch.ones_like(distance)"), "falls too late"),
    ("07", 5, CORRELATION.format("(-distance / 8).exp()"), "falls too late"),
    ("07", 5, CORRELATION.format("(-distance / 4).exp()"), "falls too early"),
    ("07", 5, CORRELATION.format("distance * torch.nan"), "must be 1"),
    ("08", 5, GAN_LOSSES.format("bce(D(real), 1.0) + bce(D(fake), 0.0)", OF_G), "generated points"),
    ("08", 5, GAN_LOSSES.format(OF_D, "-bce(D(fake), 0.0)"), "nearly 0"),
    ("08", 5, GAN_LOSSES.format("2 * bce(D(real), 1.0)", OF_G), "sum of two cross entropies"),
    (
        "08",
        5,
        GAN_LOSSES.format("bce(D(real), 1.0) + bce(D(fake).detach(), 0.0)", OF_G),
        "does not learn from both",
    ),
    (
        "08",
        6,
        UPSAMPLER.format("transposed(128, 64), nn.SiLU(), transposed(64, 32), nn.SiLU()"),
        "gets a pattern",
    ),
    (
        "08",
        6,
        UPSAMPLER.format(
            "up('bilinear'), conv(128, 64), nn.SiLU(), up('bilinear'), conv(64, 32), nn.SiLU()"
        ),
        "12 million",
    ),
    (
        "08",
        6,
        UPSAMPLER.format(
            "conv(128, 64), nn.SiLU(), up('nearest'), conv(64, 32), nn.SiLU(), up('nearest')"
        ),
        "blocks of equal pixels",
    ),
    ("08", 6, UPSAMPLER.format("conv(128, 32), nn.SiLU(), up('bilinear', 4)"), "5x5"),
    (
        "08",
        6,
        UPSAMPLER.format("conv(128, 64), up('bilinear'), conv(64, 32), up('bilinear')"),
        "it is linear",
    ),
    ("08", 6, UPSAMPLER.format("conv(128, 32)"), "must have the shape"),
    ("09", 2, TWO_ERRORS.format("2.0"), "two numbers"),
    ("09", 2, TWO_ERRORS.format("(200.0, 100.0)"), "with 25 and 75 %"),
    ("09", 2, TWO_ERRORS.format("(prob @ squared @ prob, 0.0)"), "the mean is 0"),
    ("09", 2, TWO_ERRORS.format("(np.nan, np.nan)"), "the mean is 0"),
    ("09", 4, COUNT.format("-(-(size - kernel) // stride) + 1"), "left over"),
    ("09", 4, COUNT.format("size // stride"), "three times into 8"),
    ("09", 5, SHIFT.format("min(share, q[cost.argmax()])"), "go on with the next"),
    ("09", 5, SHIFT.format("share"), "is negative"),
    ("09", 5, SHIFT.format("0.0"), "another shift"),
    ("09", 6, FAULT.format(same="False", dropped=RARE), "the sampler of the report"),
    ("09", 6, FAULT.format(same=REPEATED, dropped="(share == 0).any()"), "3 % green"),
    ("09", 6, FAULT.format(same=REPEATED, dropped="(share < prob).any()"), "exact samples"),
    ("09", 6, FAULT.format(same=REPEATED, dropped="(share < 0.05).any()"), "use prob"),
    ("09", 6, "def name_fault(chosen, prob):\n    return 'neither'", "the sampler of the report"),
]


@functools.cache
def prepared(lesson: str) -> tuple[dict, list[tuple[str, str]]]:
    """The names that a lesson's solutions start from, and its exercises: answer and check."""
    (file,) = (FOLDER / "solutions").glob(f"{lesson}_*.ipynb")
    notebook = read(file)
    pairs = EXERCISES.pairs(notebook)
    solved = [cell for pair in pairs for cell in pair]
    names: dict = {}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code" and cell not in solved:
            exec(source(cell), names)
    return names, [(source(answer), source(check)) for answer, check in pairs]


@pytest.mark.parametrize(("lesson", "number", "answer", "says"), WRONG)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_wrong_answer_is_told_what_is_wrong(lesson, number, answer, says, capsys):
    names, pairs = prepared(lesson)
    names = dict(names)
    exec(answer, names)
    exec(pairs[number - 1][1], names)
    told = capsys.readouterr().out
    assert told.startswith("Not yet: ") and says in told


@pytest.mark.parametrize(
    ("lesson", "number", "answer"),
    [
        ("05", 2, LOSS_OF_D.format("np.sqrt(d)")),
        ("05", 5, DIAGNOSE.format(images=4, change=ONE_POSITION, last=IN_PLACE)),
        ("06", 6, POSTERIOR.format([1.2, -0.15, -1.45], [0.35, 0.3, 0.35])),
        ("07", 5, CORRELATION.format("(-(distance**2) / (2 * 3.0**2)).exp()")),
        (
            "08",
            6,
            UPSAMPLER.format(
                "conv(128, 64), nn.ReLU(), up('nearest'), conv(64, 32), nn.ReLU(), up('bilinear')"
            ),
        ),
    ],
)
def test_a_designed_answer_may_differ_from_the_solution(lesson, number, answer, capsys):
    names, pairs = prepared(lesson)
    names = dict(names)
    exec(answer, names)
    exec(pairs[number - 1][1], names)
    assert capsys.readouterr().out == "Correct.\n"
