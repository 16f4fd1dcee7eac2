"""One minute of the soak that `tests/benchmarks/serving.py soak` makes as long as it is told."""

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parent / "benchmarks" / "serving.py"


@pytest.mark.slow
def test_a_minute_of_good_and_bad_requests_leaves_memory_flat():
    command = [sys.executable, BENCHMARK, "soak", "--minutes", "1", "--clients", "4"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "answered OK, due OK" in done.stdout
