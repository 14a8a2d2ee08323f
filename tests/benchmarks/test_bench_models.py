"""What samples of a diffusion model and a pretrained encoder cost, beside the plain UNet."""

import numpy as np
import torch
from measure import in_turns

from colorlab.data.cache import Pictures
from colorlab.models import build
from colorlab.training import TrainConfig, Trainer
from colorlab.training.encoder_maps import EncoderMaps

SAMPLES, STEPS = 8, 10


def ready(name: str, **settings: object) -> torch.nn.Module:
    return build(name, **settings).eval().to(memory_format=torch.channels_last)


def test_eight_samples_against_a_unet_at_every_step(benchmark):
    model, L = ready("diffusion", steps=STEPS), 100 * torch.rand(1, 1, 256, 256)
    generator = torch.Generator().manual_seed(0)
    stack = L.expand(SAMPLES, -1, -1, -1)

    def ours() -> None:
        model.answers(L, SAMPLES, generator)

    @torch.inference_mode()
    def unets() -> None:
        for _ in range(STEPS):
            model.unet(stack)

    our_seconds, unet_seconds = in_turns(ours, unets, rounds=3)
    benchmark.pedantic(ours, rounds=5)
    benchmark.extra_info["times_as_fast_as_a_unet_every_step"] = unet_seconds / our_seconds
    assert unet_seconds / our_seconds > 1.2


def test_one_picture_beside_the_unet_without_an_encoder(benchmark):
    L = 100 * torch.rand(1, 1, 256, 256)
    pretrained, plain = ready("unet", fold=8, encoder="imagenet"), ready("unet")
    seconds, plain_seconds = in_turns(
        lambda: pretrained.colorize(L), lambda: plain.colorize(L), rounds=5
    )
    benchmark.pedantic(pretrained.colorize, args=(L,), rounds=5)
    benchmark.extra_info["times_the_plain_unet"] = seconds / plain_seconds
    assert seconds / plain_seconds < 6


def test_training_on_kept_maps(benchmark, tmp_path):
    """Kept maps against an encoder that looks anew at every step."""
    random = np.random.default_rng(0)
    rgb = random.integers(0, 256, (32, 16, 16, 3), dtype=np.uint8).repeat(16, 1).repeat(16, 2)
    pictures = Pictures(rgb, tuple(map(str, range(32))), "0" * 64, "test")
    maps = EncoderMaps(pictures, "imagenet", tmp_path)
    maps.prepare(progress=False)
    config = TrainConfig(steps=1, batch_size=16)  # too few steps for maps to be kept by itself
    kept, live = (
        Trainer(build("unet", fold=8, encoder="imagenet"), pictures, config) for _ in range(2)
    )
    kept.batches.maps = maps
    assert live.batches.maps is None

    def step(trainer: Trainer) -> None:
        sum(trainer.advance("float32").values()).item()

    kept_seconds, live_seconds = in_turns(lambda: step(kept), lambda: step(live), rounds=3)
    benchmark.pedantic(step, args=(kept,), rounds=5)
    benchmark.extra_info["times_as_fast_with_kept_maps"] = live_seconds / kept_seconds
    assert live_seconds / kept_seconds > 1.5
