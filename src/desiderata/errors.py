"""The one kind of error that a person can cause and can mend."""

import re


class DesiderataError(Exception):
    """Something the caller can put right.

    The message is one sentence in plain words: what went wrong, why, and how to mend it. The command line prints
    it without a traceback and exits with status 2. Nothing recorded earlier is lost or changed when it is raised.
    """


class Damaged(DesiderataError):
    """The content of a file that was written by this library is not what was written.

    Whoever knows the file catches it, and names it or does without.
    """


def cannot_be_made(what: str, error: TypeError) -> str:
    """Return what to say where a part was given settings by name, and takes no such ones.

    Args:
        what: Such as "The strategy genmqd".
        error: What calling it raised.
    """
    if unknown := re.search(r"__init__\(\) got an unexpected keyword argument '(\w+)'$", str(error)):
        return f"{what} has no setting {unknown[1]!r}: take it out."
    return f"{what} cannot be made ({error}); correct its parameters."
