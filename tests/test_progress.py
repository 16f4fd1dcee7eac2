import io

import pytest

from tfstyle import progress
from tfstyle.progress import Line, clock


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def wait(monkeypatch):
    """Function that lets time pass."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])

    def wait(seconds):
        now[0] += seconds

    return wait


def test_a_terminal_has_one_line_that_is_overwritten(wait):
    line = Line(stream := Terminal())
    assert line.due()
    line.show("1/2")
    assert not line.due()
    wait(0.3)
    assert line.due()
    line.show("2/2")
    line.end()
    line.end()
    assert stream.getvalue() == "\r1/2\x1b[K\r2/2\x1b[K\n"


def test_elsewhere_lines_are_added_now_and_then(wait):
    line = Line(stream := io.StringIO(), every_s=30)
    line.show("1/2")
    wait(29)
    assert not line.due()
    wait(1)
    assert line.due()
    line.show("2/2")
    line.end()
    assert stream.getvalue() == "1/2\n2/2\n"


@pytest.mark.usefixtures("wait")
def test_what_is_done_soon_says_nothing_where_there_is_no_terminal():
    assert not Line(io.StringIO(), at_once=False).due()
    line = Line(stream := Terminal(), at_once=False)
    assert line.due()
    line.end()
    assert stream.getvalue() == ""


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (754, "12:34"), (3600, "1:00:00")]
)
def test_clock(seconds, text):
    assert clock(seconds) == text
