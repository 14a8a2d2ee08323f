"""Several processes, on one machine or many, train as one: each takes its share of every batch.

Start them with PyTorch's own launcher, ``torchrun --nproc-per-node 8 -m colorlab train ...``.
The batch size is that of all processes together, so the weights are those of one process, within
rounding. Gradients are averaged by DistributedDataParallel (Li et al. 2020, "PyTorch
Distributed", VLDB 13), the statistics of batch normalization here. Without a launcher every
function does nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel


@contextmanager
def team() -> Iterator[None]:
    """Join the other processes of the launcher, if there is one, while the body runs."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


def rank() -> int:
    """Number of this process, from 0. Process 0 writes files and shows progress."""
    return dist.get_rank() if dist.is_initialized() else 0


def size() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def share(batch_size: int) -> slice:
    """Which pictures of every batch are this process's."""
    if batch_size % size():  # a mean of means would be wrong
        raise ValueError(
            f"a batch of {batch_size} cannot be shared by {size()} processes; choose a multiple"
        )
    return slice(rank(), None, size())


def mean(value: Tensor) -> Tensor:
    """Mean of ``value`` over the processes, without gradient."""
    if size() == 1:
        return value
    value = value.detach().clone()
    dist.all_reduce(value)
    return value / size()


def wait() -> None:
    """Go on when every process is here."""
    if size() > 1:
        dist.barrier()


class _Loss(nn.Module):
    """A loss as a module, for DistributedDataParallel wraps nothing else."""

    def __init__(self, module: nn.Module, loss: Callable) -> None:
        super().__init__()
        self.module = module
        self.loss = loss

    def forward(self, *args):
        return self.loss(*args)


def averaging(module: nn.Module, loss: Callable) -> Callable:
    """``loss``, whose backward pass also averages the gradient of ``module`` over the processes."""
    if size() == 1:
        return loss
    return DistributedDataParallel(_Loss(module, loss))


class _Mean(torch.autograd.Function):
    """Mean over the processes, with gradient: each process's loss depends on every share."""

    @staticmethod
    def forward(ctx, value: Tensor) -> Tensor:
        return mean(value)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        return mean(gradient)


class SyncedBatchNorm2d(nn.BatchNorm2d):
    """Batch normalization over the batch of all processes.

    torch's own SyncBatchNorm works on GPUs only. Arguments and state as ``nn.BatchNorm2d``.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W), normalized by the statistics of every process's N pictures."""
        if not self.training:
            return super().forward(x)
        values = x.float()
        moments = torch.stack((values.mean(dim=(0, 2, 3)), values.square().mean(dim=(0, 2, 3))))
        centre, square = _Mean.apply(moments)
        variance = square - centre.square()
        with torch.no_grad():
            count = size() * x.numel() / x.shape[1]
            self.num_batches_tracked += 1
            self.running_mean.lerp_(centre, self.momentum)
            self.running_var.lerp_(variance * count / (count - 1), self.momentum)
        scale = self.weight * (variance + self.eps).rsqrt()
        shift = self.bias - centre * scale
        return (values * scale[:, None, None] + shift[:, None, None]).to(x.dtype)


def share_statistics(model: nn.Module) -> None:
    """Let every batch statistic of ``model`` be that of the batch of all processes.

    Batch normalization is replaced, and a model's own ``batch_mean``.
    """
    if size() == 1:
        return
    model.batch_mean = mean
    for parent in list(model.modules()):
        for name, norm in parent.named_children():
            if type(norm) is nn.BatchNorm2d:
                synced = SyncedBatchNorm2d(norm.num_features, norm.eps, norm.momentum)
                synced.load_state_dict(norm.state_dict())
                synced.weight, synced.bias = norm.weight, norm.bias  # who holds them keeps them
                setattr(parent, name, synced.to(norm.weight.device))
