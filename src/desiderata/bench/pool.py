"""Many runs at a time, each in a process with one core of its own."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import active_children, get_context
from typing import TypeVar

Job = TypeVar("Job")


def finished(run: Callable[[Job], object], jobs: Sequence[Job], processes: int) -> Iterator[Job]:
    """Run jobs, and yield each when it is done.

    Args:
        run: Does a job; it and the jobs are sent to other processes.
        jobs: What to do, the first ones first.
        processes: Jobs at a time.

    Yields:
        The jobs, in the order in which they end. When one fails, its error is raised and the others are not begun;
        those at work go on until they end. An interrupt, or whoever asks for no further job, ends these, too.
    """
    others = set(active_children())
    with ProcessPoolExecutor(processes, get_context("spawn"), _alone) as pool:
        try:
            waiting = {pool.submit(run, job): job for job in jobs}
            for done in as_completed(waiting):
                done.result()
                yield waiting[done]
        except BaseException as error:
            pool.shutdown(wait=False, cancel_futures=True)
            if not isinstance(error, Exception):  # it may have reached this process alone
                for worker in {*active_children()} - others:
                    worker.terminate()
            raise


def _alone() -> None:
    """Give a worker one core, so that workers do not wait for each other's threads."""
    import torch
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(1)
    threadpool_limits(1)  # NumPy's own, which have started by now
