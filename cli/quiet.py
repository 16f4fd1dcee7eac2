"""Loading TensorFlow without its start-up notices."""

import contextlib
import logging
import os
import warnings


@contextlib.contextmanager
def native_stderr_hidden():
    """Send what C++ code writes to stderr nowhere; exceptions of Python are not affected."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


@contextlib.contextmanager
def warnings_in_lines(name):
    """Print each warning once, in a line of the command's, and none of Pillow's."""

    def line(message, *_):
        text = f"{name}: {' '.join(str(message).split())}\n"
        new = text not in told
        told.add(text)
        return text if new else ""

    told, kept = set(), warnings.formatwarning
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\b")
        warnings.formatwarning = line
        logging.getLogger("PIL").setLevel(logging.CRITICAL)
        try:
            yield
        finally:
            warnings.formatwarning = kept


def load_tensorflow():
    """Import Keras and its backend; their notices about CPUs and drivers are hidden."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # such as on functions traced anew
    with native_stderr_hidden():
        import keras  # noqa: F401
