"""The model hub: asked quietly, and not at all where it is out of reach, so that failing takes no minutes."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


def quiet_hub() -> None:
    """Silence the retries of the hub's client: what fails in the end is raised, and said in one sentence.

    Whoever sets `HF_HUB_VERBOSITY` keeps it. The variable is for a client that is imported later, as it mostly is.
    """
    level = os.environ.setdefault("HF_HUB_VERBOSITY", "error")
    if level == "error":
        if "huggingface_hub" in sys.modules:
            logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
        for name in ("httpx", "httpcore"):
            logging.getLogger(name).setLevel(logging.ERROR)


@contextmanager
def local_where_out_of_reach() -> Iterator[bool]:
    """Let the hub's client look at what it has fetched before, and nowhere else, while the hub does not answer.

    The client itself tries each file of a model six times, over half a minute, and no setting of it changes that; so
    the hub is asked once, and where that fails the client's own offline mode is on for as long as the block runs.

    Yields:
        Whether the hub is asked.
    """
    quiet_hub()
    from huggingface_hub import constants

    known = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = known or not _answers(constants.ENDPOINT)
    try:
        yield not constants.HF_HUB_OFFLINE
    finally:
        constants.HF_HUB_OFFLINE = known


def _answers(address: str) -> bool:
    """Return whether a server answers in time (`HF_HUB_ETAG_TIMEOUT`), whatever it says; asked as the client asks."""
    from huggingface_hub import constants
    from huggingface_hub.utils import get_session

    try:
        get_session().head(address, timeout=constants.HF_HUB_ETAG_TIMEOUT)
    except Exception:  # each version of the client has another library beneath, with errors of its own
        return False
    return True
