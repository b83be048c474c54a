"""How many threads the fits and the models use, and how they wait for one another."""

import os
import warnings

SPINS = "3000"
"""How often a waiting thread of GNU's OpenMP looks before it sleeps; 300,000 times if nothing is said. Beside another
program those looks take the processor from the thread that is waited for. On two cores, one of them taken, a training
step of the bundled generator lasted 5.3 s with 300,000 and 0.65 s with 3,000; with nothing beside it, 0.12 s with
either."""


def wait_briefly() -> None:
    """Let threads of OpenMP sleep soon while they wait, unless the environment says how; before torch is imported."""
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPINS)


def use_physical_cores() -> None:
    """Let torch use at most one thread for each physical core; more make small products slower."""
    import torch
    from joblib import cpu_count

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # where physical cores cannot be told from others, it counts all of them
        cores = cpu_count(only_physical_cores=True)
    torch.set_num_threads(max(1, min(torch.get_num_threads(), cores)))
