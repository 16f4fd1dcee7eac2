"""What the server counts, for Prometheus, under TF Serving's names."""

import contextlib
import time

from prometheus_client import CollectorRegistry, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4  # what every scraper reads
LATENCY_US = [1000 * ms for ms in (1, 2, 5, 10, 20, 50, 100, 200, 500)]
LATENCY_US += [1_000_000 * s for s in (1, 2, 5, 10, 30)]
BATCH_SIZES = (1, 2, 4, 8, 16, 32)


class Metrics:
    """What the server has done so far. Safe to use from several threads."""

    def __init__(self):
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        model = ("model_name", "version")

        def make(kind, name, text, labels, **options):
            return kind(
                f":tensorflow:serving:{name}", text, labels, registry=self.registry, **options
            )

        # No Counter: it would add _total to the name that TF Serving's dashboards look for.
        self._count = make(
            Gauge, "request_count", "Requests answered.", (*model, "entrypoint", "status")
        )
        self._latency = make(
            Histogram,
            "request_latency",
            "Microseconds from request to answer.",
            (*model, "entrypoint"),
            buckets=LATENCY_US,
        )
        self._in_flight = make(Gauge, "requests_in_flight", "Requests being answered.", model)
        self._batches = make(
            Histogram,
            "batching_session:batch_size",
            "Pictures painted in one go.",
            model,
            buckets=BATCH_SIZES,
        )
        self._depth = make(Gauge, "batching_session:queue_depth", "Requests that wait.", ())

    def watch_queue(self, depth):
        """Let `depth`, a function, say how many requests wait."""
        self._depth.set_function(depth)

    @contextlib.contextmanager
    def request(self, entrypoint):
        """Count a request while it is answered.

        Args:
            entrypoint: "GRPC" or "REST".

        Yields:
            Dict to fill in: `model` and `version`, of a model that exists, and `status`, a code.
            Names that clients make up are not counted one by one, or they would fill the memory.
        """
        facts = {"model": "", "version": "", "status": "OK"}
        begun = time.perf_counter()
        try:
            yield facts
        finally:
            labels = facts["model"], facts["version"], entrypoint
            self._latency.labels(*labels).observe(1e6 * (time.perf_counter() - begun))
            self._count.labels(*labels, facts["status"]).inc()

    def in_flight(self, model, version):
        """Return a context in which a request of a model's version counts as at work."""
        return self._in_flight.labels(model, version).track_inprogress()

    def batch(self, model, version, size):
        """Count a batch of `size` pictures that a model's version painted in one go."""
        self._batches.labels(model, version).observe(size)

    def text(self):
        """Return all of it in Prometheus' text format, as bytes."""
        return generate_latest(self.registry)
