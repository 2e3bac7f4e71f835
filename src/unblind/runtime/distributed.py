"""Several processes on one task, as `torchrun` and `accelerate launch` start them.

The launcher's environment says how many there are. The main one, of rank 0, writes for all; what it decides,
the others are told; and if one fails, all end with its message alone.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TypeVar

from unblind.errors import RecipeError

Value = TypeVar("Value")

_PATIENCE = timedelta(hours=2)  # for what one process does while the others wait, like caching features


def world_size() -> int:
    """Number of processes on this task."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def rank() -> int:
    """The number of this process among them, from 0."""
    return int(os.environ.get("RANK", "0"))


def is_main_process() -> bool:
    """Whether this process is the one that writes and speaks."""
    return rank() == 0


def check_launch(command: str) -> None:
    """Refuse what would not run as its launcher was told.

    Raises:
        RecipeError: several processes for a command of one, or one process where several were asked for.
    """
    if world_size() > 1 and command not in ("train", "evaluate"):
        raise RecipeError(
            f"`unblind {command}` is one process; start it without torchrun and accelerate launch"
        )
    if world_size() == 1 and "ACCELERATE_USE_CPU" in os.environ and "MASTER_PORT" in os.environ:
        raise RecipeError(
            "`accelerate launch --cpu` starts one process, whatever --num_processes says (without mpirun);"
            " use torchrun --nproc-per-node N, or accelerate launch --multi_gpu with our --device cpu"
        )


def from_main_process(make: Callable[[], Value]) -> Value:
    """What the main process makes, in every process."""
    if world_size() == 1:
        return make()
    import torch.distributed as dist

    _init_process_group()
    box = [make() if is_main_process() else None]
    dist.broadcast_object_list(box)
    return box[0]  # type: ignore[return-value]


def gathered(values: Sequence[Value]) -> list[Value]:
    """The values of all processes, in every process: the first ones by rank, the second ones, ...

    The inverse of giving process r the values r, r + world_size(), r + 2 world_size(), ...
    """
    if world_size() == 1:
        return list(values)
    import torch.distributed as dist

    _init_process_group()
    parts: list[list[Value]] = [[] for _ in range(world_size())]
    dist.all_gather_object(parts, list(values))
    longest = max(len(part) for part in parts)
    return [part[i] for i in range(longest) for part in parts if i < len(part)]


def _init_process_group() -> None:
    """Meet the other processes; objects go over gloo, tensors on GPUs over NCCL."""
    import torch
    import torch.distributed as dist

    if not dist.is_initialized():
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        dist.init_process_group(backend, timeout=_PATIENCE)


def leave_process_group() -> None:
    """Part from the other processes when the work is done."""
    if world_size() > 1:
        import torch.distributed as dist

        if dist.is_initialized():
            dist.destroy_process_group()


def register_failure() -> bool:
    """Tell the other processes that this one failed; whether it is the first, whose message is to be shown.

    The others' errors follow from its.

    The launcher's store, which outlives the processes, remembers it.
    """
    if world_size() == 1:
        return True
    from torch.distributed import TCPStore  # type: ignore[attr-defined]

    try:
        address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
        store = TCPStore(address, port, is_master=False, timeout=timedelta(seconds=10))
        attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
        return store.add(f"unblind/failed/{attempt}", 1) == 1
    except (KeyError, ValueError, RuntimeError):  # the store died with the main process
        return is_main_process()
