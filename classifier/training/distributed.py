"""One process that trains, or several that train one network together, a device each (Lightning Fabric)."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


class Engine:
    """What the training loop asks of its surroundings; several processes each run the same loop.

    `rank` counts the processes from 0, `count` is how many there are. Everything but the batches is the same
    in all of them: random draws, schedule, decisions. Raises ValueError where several cannot be had.
    """

    def __init__(self, device: str, count: int = 1) -> None:
        cuda = device not in {"auto", "cpu"} or (device == "auto" and torch.cuda.is_available())
        self.device, self.rank, self.count, self._fabric = torch.device(device_for(device)), 0, count, None
        if count == 1:
            return
        try:
            from lightning_fabric import Fabric
        except ImportError as error:
            raise ValueError("several devices need a package: pip install lightning-fabric") from error
        if cuda and torch.cuda.device_count() < count:
            raise ValueError(f"{count} devices were asked for, and there are {torch.cuda.device_count()}")
        self._fabric = Fabric(accelerator="cuda" if cuda else "cpu", devices=count, strategy="ddp")
        self._fabric.launch()  # from here on there are several of this process
        self.device, self.rank = self._fabric.device, self._fabric.global_rank

    @property
    def leads(self) -> bool:
        """Whether this is the process that judges, writes and speaks."""
        return self.rank == 0

    def join(
        self, network: nn.Module, optimiser: torch.optim.Optimizer
    ) -> tuple[nn.Module, torch.optim.Optimizer]:
        """The network and its optimiser for the loop: gradients become the mean over all processes."""
        return self._fabric.setup(network, optimiser) if self._fabric else (network, optimiser)

    def backward(self, loss: Tensor) -> None:
        self._fabric.backward(loss) if self._fabric else loss.backward()

    def share(self, batch: Any) -> Any:
        """This process's part of a batch."""
        return batch[self.rank :: self.count]

    def told(self, *numbers: float) -> tuple[float, ...]:
        """The leading process's numbers, in every process."""
        if not self._fabric:
            return numbers
        said = torch.tensor(numbers if self.leads else [0.0] * len(numbers), dtype=torch.float64)
        return tuple(self._fabric.all_reduce(said.to(self.device), reduce_op="sum").tolist())

    @contextmanager
    def leader_first(self) -> Iterator[None]:
        """The leading process goes first; the others follow when it is through, and find what it has made."""
        if self._fabric and not self.leads:
            self._fabric.barrier()
        yield
        if self._fabric and self.leads:
            self._fabric.barrier()


@functools.cache
def engine_for(device: str, count: int = 1) -> Engine:
    """The process's engine: started once, since starting makes the other processes."""
    return Engine(device, count)


def device_for(name: str) -> str:
    return ("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name
