"""One training process, or several that train one network together, one device each (Lightning Fabric)."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from classifier.inference.device import device_for


class Distributed:
    """The processes of a run; each runs the same loop, and all but the batches is the same in all of them.

    Raises ValueError if `world_size` devices are not available.
    """

    def __init__(self, device: str, world_size: int = 1) -> None:
        self.device = torch.device(device_for(device))
        self.rank, self.world_size, self._fabric = 0, world_size, None
        if world_size == 1:
            return
        try:
            from lightning_fabric import Fabric
        except ImportError as error:
            raise ValueError("--devices above 1 requires a package: pip install lightning-fabric") from error
        cuda = self.device.type != "cpu"
        if cuda and torch.cuda.device_count() < world_size:
            raise ValueError(f"--devices {world_size}: only {torch.cuda.device_count()} available")
        self._fabric = Fabric(accelerator="cuda" if cuda else "cpu", devices=world_size, strategy="ddp")
        self._fabric.launch()  # from here on there are several of this process
        self.device, self.rank = self._fabric.device, self._fabric.global_rank

    @property
    def is_main(self) -> bool:
        """Whether this process validates and writes."""
        return self.rank == 0

    def setup(
        self, network: nn.Module, optimiser: torch.optim.Optimizer
    ) -> tuple[nn.Module, torch.optim.Optimizer]:
        """The network and its optimiser for the loop: gradients become the mean over all processes."""
        return self._fabric.setup(network, optimiser) if self._fabric else (network, optimiser)

    def backward(self, loss: Tensor) -> None:
        self._fabric.backward(loss) if self._fabric else loss.backward()

    def shard(self, batch: Any) -> Any:
        """This process's part of a batch."""
        return batch[self.rank :: self.world_size]

    def broadcast(self, *numbers: float) -> tuple[float, ...]:
        """The main process's numbers, in every process."""
        if not self._fabric:
            return numbers
        sent = torch.tensor(numbers if self.is_main else [0.0] * len(numbers), dtype=torch.float64)
        return tuple(self._fabric.all_reduce(sent.to(self.device), reduce_op="sum").tolist())

    @contextmanager
    def main_process_first(self) -> Iterator[None]:
        """The others wait until the main process has finished, then find what it has written."""
        if self._fabric and not self.is_main:
            self._fabric.barrier()
        yield
        if self._fabric and self.is_main:
            self._fabric.barrier()


@functools.cache
def start_processes(device: str, world_size: int = 1) -> Distributed:
    """The processes of this run, started once."""
    return Distributed(device, world_size)
