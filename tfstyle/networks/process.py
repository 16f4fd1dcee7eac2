"""The process that TensorFlow was started in, and its children."""

import functools
import os


def refuse_fork():
    """Refuse to compute in a process that was forked off one that had computed here.

    The threads that compute did not come along, and TensorFlow would wait for them for ever.

    Raises:
        RuntimeError: If it was.
    """
    if _first() != os.getpid():
        raise RuntimeError(
            "This process was forked off one in which TensorFlow had begun to compute, and would "
            "hang. Start workers before that, or in processes of their own: "
            "multiprocessing.get_context('spawn'); for gunicorn, without --preload."
        )


@functools.cache
def _first():
    """Return the number of the process that computed first; a fork takes the answer along."""
    return os.getpid()
