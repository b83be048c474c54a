"""The one kind of error that a person can cause and can mend."""


class DesiderataError(Exception):
    """Something the caller can put right.

    The message is one sentence in plain words: what went wrong, why, and how to mend it. The command line prints
    it without a traceback and exits with status 2. Nothing recorded earlier is lost or changed when it is raised.
    """
