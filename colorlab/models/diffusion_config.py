"""Settings of the diffusion model, each with its reason; see :mod:`colorlab.models.diffusion`."""

from __future__ import annotations

from dataclasses import dataclass

from colorlab.models.encoders import SCRATCH
from colorlab.samplers import SAMPLERS

FORMULATIONS = ("flow", "ddpm")
PREDICTIONS = ("clean", "v")


@dataclass(frozen=True)
class DiffusionConfig:
    """Settings of :class:`Diffusion`; each default carries its reason.

    Attributes:
        target: "ab" keeps the input's lightness; "rgb" predicts the whole picture.
        size: side of the training pictures; other sizes are brought to about this area.
        fold, widths, attention, dropout: of the UNet that looks at L, see :class:`UNetConfig`.
        denoiser: channels of the light network at 1/4, 1/8 and 1/16 of the picture. The finest
            map is narrow, since half of the arithmetic is there.
        spread: root mean squares of a and b, CIE units, that count as 1: 13 and 21 on scenes, 15
            and 28 on photographs. In ab / 110, 0.13 to 0.25, unit noise drowns the colours. Not
            centred, so that 0 is gray.
        formulation: "flow" trains at logit-normal times with the velocity's loss; "ddpm" at the
            steps of a schedule with v's loss, and draws by DDIM.
        predicts: "clean" chroma, or "v" of Salimans and Ho, part of which is noise.
        reach: of the noise, in places of the answer's map, see :func:`correlated_noise`:
            photographs' chroma has 6 to 13. 0 is white noise; it wants a shift of about 10.
        tones: difference of lightness, CIE units, at which the noise of two places agrees 1/e as
            much as at none, see :func:`colorlab.tonal_noise.tonal_noise`; 0 for noise that does not
            look at L. The error of a UNet on photographs has about 60, and a reach of 60 to 80.
            On scenes it makes no difference.
        shift: how far times in training and in draws lie towards noise; notebook 10 has the table
            from which 2 was chosen.
        scale: standard deviation of the logit of the training times.
        floor: distance to the end of the path below which the loss's weight rises no more.
        draws: times and noises for each picture of a batch. The UNet sees the picture once, and
            more draws let the weak signal of early times be heard, and with it the rare colours.
        unconditional: share of draws that train without L, for guidance.
        guidance: 1 for the model's own frequencies; see :func:`colorlab.samplers.guided`.
        temperature: factor on the noise that a draw begins with. Below 1 draws keep to likelier
            colours, which differ less and are paler; guidance above 1 makes them strong again.
            1 for the model's own frequencies.
        sampler: "euler" or "heun"; "ddim" with the other formulation.
        steps: of a draw.
        encoder: of the UNet that looks at L.
        input_skip: of that UNet.
    """

    target: str = "ab"
    size: int = 256
    fold: int = 4
    widths: tuple[int, int, int, int] = (32, 64, 96, 128)
    attention: bool = True
    dropout: float = 0.0
    denoiser: tuple[int, int, int] = (16, 48, 96)
    spread: tuple[float, float] = (14.0, 24.0)
    formulation: str = "flow"
    predicts: str = "clean"
    reach: float = 6.4
    tones: float = 0.0
    shift: float = 2.0
    scale: float = 1.0
    floor: float = 0.1
    draws: int = 4
    unconditional: float = 0.05
    guidance: float = 1.0
    temperature: float = 1.0
    sampler: str = "euler"
    steps: int = 10
    encoder: str = SCRATCH
    input_skip: bool = False

    def __post_init__(self) -> None:
        for name, known in (
            ("formulation", FORMULATIONS),
            ("predicts", PREDICTIONS),
            ("sampler", (*SAMPLERS, "ddim")),
        ):
            if (value := getattr(self, name)) not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}")
        for name in ("shift", "scale", "floor", "draws", "steps", "temperature"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        if not self.tones >= 0:
            raise ValueError(f"tones must be 0 or more, got {self.tones}")
        if not 0 <= self.unconditional < 1:
            raise ValueError(f"unconditional must lie in [0, 1), got {self.unconditional}")
