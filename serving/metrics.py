"""What the server counts, for Prometheus, under TF Serving's names."""

import contextlib
import time

from prometheus_client import CollectorRegistry, Gauge, Histogram, ProcessCollector, generate_latest

LATENCY_US = [1000 * step * 10**power for power in range(5) for step in (1, 2, 5)]
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
        counted, batches = (*model, "entrypoint", "status"), "batching_session"
        self._count = make(Gauge, "request_count", "Requests answered.", counted)
        self._latency = make(
            Histogram, "request_latency", "Microseconds.", counted[:3], buckets=LATENCY_US
        )
        self._in_flight = make(Gauge, "requests_in_flight", "Requests being answered.", model)
        self._batches = make(
            Histogram, f"{batches}:batch_size", "Pictures in one go.", model, buckets=BATCH_SIZES
        )
        self._depth = make(Gauge, f"{batches}:queue_depth", "Requests that wait.", ())

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

    def in_flight(self, servable):
        """Return a context in which a request of a `Servable` counts as at work."""
        return self._in_flight.labels(servable.name, servable.version).track_inprogress()

    def batch(self, servable, size):
        """Count a batch of `size` pictures that a `Servable` painted in one go."""
        self._batches.labels(servable.name, servable.version).observe(size)

    def text(self):
        """Return all of it in Prometheus' text format, as bytes."""
        return generate_latest(self.registry)
