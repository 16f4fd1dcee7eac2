"""Loading TensorFlow without its start-up notices."""

import contextlib
import os


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


def load_tensorflow():
    """Import Keras and its backend; their notices about CPUs and drivers are hidden."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with native_stderr_hidden():
        import keras  # noqa: F401
