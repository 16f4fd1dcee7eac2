"""Counters and histograms in Prometheus' text format, under TF Serving's names."""

import bisect
import contextlib
import threading
import time

METRICS_PATH = "/monitoring/prometheus/metrics"  # on the REST port
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
LATENCY_US = tuple(
    1000 * ms for ms in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 30000)
)
BATCH_SIZES = (1, 2, 4, 8, 16, 32)

_COUNT = ":tensorflow:serving:request_count"
_LATENCY = ":tensorflow:serving:request_latency"
_IN_FLIGHT = ":tensorflow:serving:requests_in_flight"
_BATCHES = ":tensorflow:serving:batching_session:batch_size"
_HELP = {
    _COUNT: "counter Requests answered, by model, entry point and status.",
    _LATENCY: "histogram Microseconds from request to answer, by model and entry point.",
    _IN_FLIGHT: "gauge Requests being answered, by model.",
    _BATCHES: "histogram Pictures painted in one go, by model.",
}


class Metrics:
    """What the server has done so far. Safe to use from several threads."""

    def __init__(self):
        self._lock = threading.Lock()
        self._values = {_COUNT: {}, _IN_FLIGHT: {}}
        self._histograms = {_LATENCY: {}, _BATCHES: {}}

    @contextlib.contextmanager
    def request(self, entrypoint):
        """Count a request while it is answered.

        Args:
            entrypoint: "GRPC" or "REST".

        Yields:
            Dict to fill in: `model`, the name of a model that exists, and `status`, a code. Names
            that clients make up are not counted one by one, or they would fill the memory.
        """
        facts = {"model": "", "status": "OK"}
        begun = time.perf_counter()
        try:
            yield facts
        finally:
            labels = (("model_name", facts["model"]), ("entrypoint", entrypoint))
            elapsed_us = 1e6 * (time.perf_counter() - begun)
            with self._lock:
                key = (*labels, ("status", facts["status"]))
                self._values[_COUNT][key] = self._values[_COUNT].get(key, 0) + 1
                self._observe(_LATENCY, labels, elapsed_us, LATENCY_US)

    @contextlib.contextmanager
    def in_flight(self, model):
        """Count a request of `model` that is at work."""
        key = (("model_name", model),)
        gauge = self._values[_IN_FLIGHT]
        with self._lock:
            gauge[key] = gauge.get(key, 0) + 1
        try:
            yield
        finally:
            with self._lock:
                gauge[key] -= 1

    def batch(self, model, size):
        """Count a batch of `size` pictures that `model` painted in one go."""
        with self._lock:
            self._observe(_BATCHES, (("model_name", model),), size, BATCH_SIZES)

    def text(self):
        """Return all of it in Prometheus' text format."""
        lines = []
        with self._lock:
            for name, series in self._values.items():
                lines += _header(name)
                lines += [f"{name}{_braces(key)} {value}" for key, value in sorted(series.items())]
            for name, series in self._histograms.items():
                lines += _header(name)
                for key, (bounds, counts, total) in sorted(series.items()):
                    reached = 0
                    for bound, count in zip((*bounds, "+Inf"), counts, strict=True):
                        reached += count
                        lines.append(f"{name}_bucket{_braces((*key, ('le', bound)))} {reached}")
                    lines.append(f"{name}_sum{_braces(key)} {total}")
                    lines.append(f"{name}_count{_braces(key)} {reached}")
        return "\n".join(lines) + "\n"

    def _observe(self, name, key, value, bounds):
        """Add `value` to a histogram; the lock is held."""
        empty = [bounds, [0] * (len(bounds) + 1), 0.0]
        histogram = self._histograms[name].setdefault(key, empty)
        histogram[1][bisect.bisect_left(bounds, value)] += 1
        histogram[2] += value


def _header(name):
    kind, text = _HELP[name].split(" ", 1)
    return [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]


def _braces(labels):
    """Write labels, escaped as the format demands."""
    escaped = (
        (key, str(value).replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n"))
        for key, value in labels
    )
    return "{" + ",".join(f'{key}="{value}"' for key, value in escaped) + "}"
