"""A line that tells how far long work is."""

import math
import sys
import time

TERMINAL_S = 0.2


class Line:
    """A line that tells how far long work is: overwritten on a terminal, elsewhere added.

    Args:
        stream: Where to. Default: stderr.
        every_s: Seconds between two lines where there is no terminal.
        at_once: Whether the first is due at once there, too.
    """

    def __init__(self, stream=None, every_s=10, at_once=True):
        self._stream, self._every_s = stream or sys.stderr, every_s
        self._open = False
        self._shown = -math.inf if at_once or self.terminal else time.monotonic()

    @property
    def terminal(self):
        return self._stream.isatty()

    def due(self):
        """Tell whether it is time for the next."""
        return time.monotonic() - self._shown >= (TERMINAL_S if self.terminal else self._every_s)

    def show(self, text):
        self._shown, self._open = time.monotonic(), True
        self._stream.write(f"\r{text}\x1b[K" if self.terminal else f"{text}\n")
        self._stream.flush()

    def end(self):
        """Let a terminal keep what it shows."""
        if self._open and self.terminal:
            self._stream.write("\n")
        self._open = False


def clock(seconds):
    """Return a time in seconds as people read it.

    Example:

    >>> clock(3725)
    '1:02:05'
    """
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
