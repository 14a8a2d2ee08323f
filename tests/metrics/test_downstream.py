"""The downstream check on a classifier made here: it names by the reddest channel."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from colorlab.metrics import downstream
from colorlab.metrics.perceptual import BACKBONE_VARIABLE


class Brightest(nn.Module):
    """Names a picture by its brightest channel."""

    def forward(self, x):
        assert x.shape[-2:] == (224, 224)
        self.seen = x
        return x.mean(dim=(2, 3))


def test_names_are_compared_picture_by_picture():
    x = torch.zeros(3, 3, 32, 32)
    x[0, 0], x[1, 1], x[2, 2] = 0.9, 0.9, 0.9
    y = x[[0, 2, 2]].clone()
    assert downstream.same_name(Brightest(), x, y).tolist() == [True, False, True]
    with pytest.raises(ValueError, match="shape"):
        downstream.same_name(Brightest(), x, y[:2])
    mean, network = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1), Brightest()
    downstream.same_name(network, mean.expand(1, 3, 40, 60), mean.expand(1, 3, 40, 60))
    assert network.seen.abs().max() < 1e-5, "ImageNet's mean is the network's zero"


def test_features_alone_are_no_classifier(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    features = tmp_path / "features.safetensors"
    save_file({"features.0.weight": torch.zeros(1)}, features)
    for named in ("", str(features), str(tmp_path / "absent")):
        monkeypatch.setenv(BACKBONE_VARIABLE, named)
        with pytest.raises(downstream.ClassifierUnavailable, match=r"classifier\.\* keys"):
            downstream.load_classifier()


def test_a_file_with_the_classifier_is_taken(tmp_path, monkeypatch):
    def small(**kwargs):
        network = nn.Module()
        network.features, network.classifier = nn.Linear(2, 2), nn.Linear(2, 3)
        return network

    monkeypatch.setattr("torchvision.models.alexnet", small)
    file = tmp_path / "alexnet.safetensors"
    save_file(state := small().state_dict(), file)
    monkeypatch.setenv(BACKBONE_VARIABLE, str(file))
    network = downstream.load_classifier()
    assert not network.training
    torch.testing.assert_close(network.state_dict(), state)
