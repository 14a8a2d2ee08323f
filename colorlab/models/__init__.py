"""All models, by name. To add one: write its file, then list it here."""

from __future__ import annotations

import dataclasses
from typing import Any

from colorlab.models.base import Colorizer, Player, Regressor
from colorlab.models.classifier import Classifier, ClassifierConfig
from colorlab.models.diffusion import Diffusion, DiffusionConfig
from colorlab.models.gan import GAN, GANConfig
from colorlab.models.resnet import ResNet, ResNetConfig
from colorlab.models.unet import UNet, UNetConfig
from colorlab.models.unet_gan import UNetGAN, UNetGANConfig
from colorlab.models.unet_vae import UNetVAE, UNetVAEConfig
from colorlab.models.vae import VAE, VAEConfig

# Name (an identifier, since it is a part of file names): the model, and its config, a frozen
# subclass of Settings or of a config here, with a default for each field.
MODELS: dict[str, tuple[type[Colorizer], type]] = {
    "resnet": (ResNet, ResNetConfig),
    "unet": (UNet, UNetConfig),
    "vae": (VAE, VAEConfig),
    "unet_vae": (UNetVAE, UNetVAEConfig),
    "gan": (GAN, GANConfig),
    "unet_gan": (UNetGAN, UNetGANConfig),
    "diffusion": (Diffusion, DiffusionConfig),
    "classifier": (Classifier, ClassifierConfig),
}

# Settings of released cards that no code reads any more, each with the value that it has there.
RETIRED = {"perceptual": 0.0, "formulation": "flow", "predicts": "clean", "sampler": "euler"}

__all__ = ["MODELS", "Colorizer", "Player", "Regressor", "build", "current", "name_of"]


def build(name: str, **settings: Any) -> Colorizer:
    """Make an untrained model, ``build("unet", target="rgb")``.

    Raises:
        ValueError: unknown model or setting; the message lists the known ones.
    """
    if name not in MODELS:
        raise ValueError(f"unknown model {name!r}; choose from {', '.join(MODELS)}")
    model_class, config_class = MODELS[name]
    settings = current(settings)
    known = {field.name for field in dataclasses.fields(config_class)}
    if unknown := sorted(set(settings) - known):
        raise ValueError(
            f"{name} has no setting {', '.join(unknown)}; it has {', '.join(sorted(known))}"
        )
    # JSON knows lists only; frozen settings hold tuples.
    plain = {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()}
    return model_class(config_class(**plain))


def current(settings: dict[str, Any]) -> dict[str, Any]:
    """A card's settings, without those that are :data:`RETIRED`."""
    return {k: v for k, v in settings.items() if (k, v) not in RETIRED.items()}


def name_of(model: Colorizer) -> str:
    """The name under which a model is listed.

    Raises:
        ValueError: its class is not in the list.
    """
    for name, (model_class, _) in MODELS.items():
        if type(model) is model_class:
            return name
    raise ValueError(f"{type(model).__name__} is not listed in colorlab.models.MODELS")
