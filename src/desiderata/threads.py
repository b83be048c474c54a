"""How many threads the fits and the models use."""

import warnings


def use_physical_cores() -> None:
    """Let torch use at most one thread for each physical core; more make small products slower."""
    import torch
    from joblib import cpu_count

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # where physical cores cannot be told from others, it counts all of them
        cores = cpu_count(only_physical_cores=True)
    torch.set_num_threads(max(1, min(torch.get_num_threads(), cores)))
