"""Keeps what libraries log off the terminal, where one sentence of our own says the same."""

import logging
import os
import sys


def quiet_hub() -> None:
    """Silence the retries of the model hub's client: what fails in the end is raised, and printed as one sentence.

    Whoever sets `HF_HUB_VERBOSITY` keeps it. The variable is for a client that is imported later, as it mostly is.
    """
    level = os.environ.setdefault("HF_HUB_VERBOSITY", "error")
    if level == "error":
        if "huggingface_hub" in sys.modules:
            logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
        for name in ("httpx", "httpcore"):
            logging.getLogger(name).setLevel(logging.ERROR)
