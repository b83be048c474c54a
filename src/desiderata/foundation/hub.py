"""The model hub: asked quietly, and not at all where it is out of reach, so that failing takes no minutes."""

import logging
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager

MISSING = r"(?:does not appear to have a file named|directory containing a) (\S+)"
"""What transformers says of a file that a repository does not have."""


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


def refusal(error: BaseException) -> str:
    """Return in a few words why the hub does not give out a repository; empty where an error is about something else.

    Args:
        error: As the libraries raise it; what the hub's client said is among its causes.
    """
    from huggingface_hub.errors import (
        EntryNotFoundError,
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        RepositoryNotFoundError,
    )

    for cause in _causes(error):
        if isinstance(cause, GatedRepoError):
            return "it is gated"
        if isinstance(cause, RepositoryNotFoundError):
            return "there is none of this name, or it is private"
        if isinstance(cause, HFValidationError):
            return "nothing there can have this name"
        if isinstance(cause, HfHubHTTPError) and not isinstance(cause, EntryNotFoundError):
            status = cause.response.status_code
            if status in {401, 403, 404}:
                return f"it answers with {status}"
    return ""


def cut_off(error: BaseException) -> bool:
    """Return whether an error may be one of the network, or of the disk that is written to."""
    from huggingface_hub.errors import HfHubHTTPError

    beneath = HfHubHTTPError.__bases__[0]  # of all errors of the library that the hub's client asks by
    return isinstance(error, (OSError, beneath))


def lacks_safetensors(error: BaseException) -> bool:
    """Return whether an error of diffusers or transformers says that a repository has no weights as safetensors."""
    return isinstance(error, OSError) and "`safetensors`" in str(error)


def lacking(error: BaseException) -> str:
    """Return the file that a repository would need to have; empty where an error is about something else."""
    from huggingface_hub.errors import RemoteEntryNotFoundError

    root = error
    for root in _causes(error):
        if isinstance(root, RemoteEntryNotFoundError):
            return root.response.url.path.rpartition("/")[2]
    found = re.search(MISSING, str(root))
    return found[1].rstrip(".") if found else ""


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Go back from an error to what it came from.

    Yields:
        The error, and what Python shows above it.
    """
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _answers(address: str) -> bool:
    """Return whether a server answers in time (`HF_HUB_ETAG_TIMEOUT`), whatever it says; asked as the client asks."""
    from huggingface_hub import constants
    from huggingface_hub.utils import get_session

    try:
        get_session().head(address, timeout=constants.HF_HUB_ETAG_TIMEOUT)
    except Exception:  # each version of the client has another library beneath, with errors of its own
        return False
    return True
