"""Pictures that stay on a device give the batches that the host makes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from colorlab.data import loaders, resident
from colorlab.data.loaders import TrainingBatches


@pytest.mark.parametrize("augment", ["none", "flip", "crop"])
@pytest.mark.parametrize("share", [slice(None), slice(1, None, 2)])
def test_a_batch_is_the_one_that_the_host_makes(few_pictures, augment, share, monkeypatch):
    settings = {"batch_size": 8, "seed": 2, "augment": augment, "crop_size": 64, "share": share}
    host = TrainingBatches(few_pictures, **settings)
    monkeypatch.setattr(loaders, "fits", lambda *_: True)
    monkeypatch.setattr(resident, "CHUNK", 5 * few_pictures.rgb[0].nbytes)  # 12 pictures in 3 parts
    device = TrainingBatches(few_pictures, **settings)
    assert host.resident is None and device.resident is not None
    for step in range(4):
        want, got = host.at(step), device.at(step)
        # The host resizes bytes, and rounds once for each direction.
        tolerance = 1.5 / 255 + 1e-6 if augment == "crop" else 0
        torch.testing.assert_close(got.rgb, want.rgb, atol=tolerance, rtol=0)
        assert got.L.shape == want.L.shape and got.ab.shape == want.ab.shape


def test_only_a_gpu_with_room_keeps_the_set(few_pictures, monkeypatch):
    assert not resident.fits(few_pictures, torch.device("cpu"))
    gpu = torch.device("cuda")
    for free, room in ((2 * few_pictures.rgb.nbytes, True), (few_pictures.rgb.nbytes, False)):
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _, free=free: (free, free))
        assert resident.fits(few_pictures, gpu) is room


def test_an_epoch_is_shuffled_once(monkeypatch):
    loaders._order.cache_clear()
    first = loaders.indices_at(0, 10_000, 16, seed=4)
    monkeypatch.setattr(np.random, "default_rng", None)  # a second shuffle would fail
    second = loaders.indices_at(1, 10_000, 16, seed=4)
    assert not set(first) & set(second)
