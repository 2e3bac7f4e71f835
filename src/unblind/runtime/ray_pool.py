"""Jobs spread over the machines of a Ray cluster, by Ray Data."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Sequence
from typing import Any, TypeVar

from unblind.errors import OutputError, RecipeError, UnblindError
from unblind.runtime.versions import install_command

Job = TypeVar("Job")


def map_on_ray(work: Callable[[Job], int], jobs: Sequence[Job], workers: int) -> Generator[int]:
    """Do the jobs on a cluster, a core each; yields results as they come. What a lost machine had is redone.

    Args:
        work: what to do with each job; pickled.
        jobs: what to do it with.
        workers: jobs at once; 0: as many as the cluster has cores.

    Raises:
        RecipeError: Ray is not installed.
        OutputError: the cluster failed.
        Whatever UnblindError `work` raises.
    """
    try:
        import ray
        import ray.data
    except ImportError:
        raise RecipeError(f"--engine ray needs Ray; run: {install_command('ray')}") from None
    if not ray.is_initialized():
        ray.init(log_to_driver=False)  # RAY_ADDRESS names a cluster; without it, one is started here
    logging.getLogger("ray.data").setLevel(logging.ERROR)  # it tells of its plans
    ray.data.DataContext.get_current().enable_progress_bars = False

    def do(row: dict[str, Any]) -> dict[str, Any]:
        return {"done": work(jobs[row["id"]])}

    numbers = ray.data.range(len(jobs), override_num_blocks=max(len(jobs), 1))
    done = numbers.map(do, num_cpus=1, concurrency=workers or None)
    try:
        yield from (int(row["done"]) for row in done.iter_rows())
    except ray.exceptions.RayError as error:
        cause = getattr(error, "cause", None)
        if isinstance(cause, UnblindError):
            raise cause from None
        reason = str(error).strip().rpartition("\n")[2]
        raise OutputError(f"the Ray cluster failed ({reason[:200]}); run the same command again") from error
