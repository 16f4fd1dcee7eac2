"""A queue of requests in which those of one model, signature and picture size run together."""

import concurrent.futures
import functools
import logging
import threading
import time
from dataclasses import dataclass, field

import numpy as np

from tfstyle.serving.status import StatusError

log = logging.getLogger(__name__)


@dataclass(eq=False, kw_only=True)
class Task:
    """A checked request.

    Attributes:
        servable: What runs it.
        signature: `Signature` of the servable.
        feeds: Dict of arrays.
        outputs: Names of the outputs.
        pixels: Number of pixels in it.
        deadline: `time.monotonic()` at which its client gives up.
        future: Takes the dict of output arrays, or a `StatusError`.
    """

    servable: object
    signature: object
    feeds: dict
    outputs: tuple
    pixels: int
    deadline: float
    future: concurrent.futures.Future = field(default_factory=concurrent.futures.Future)
    queued_at: float = field(default_factory=time.monotonic)

    @functools.cached_property
    def rows(self):
        """Length of the batch axis; 1 where there is none."""
        shapes = {np.shape(value)[:1] for value in self.feeds.values()}
        return shapes.pop()[0] if len(shapes) == 1 and () not in shapes else 1

    @functools.cached_property
    def key(self):
        """What tasks must share to run together; None for a task that runs alone."""
        lengths = {len(value) if np.ndim(value) else -1 for value in self.feeds.values()}
        if not self.signature.batches or len(lengths) != 1 or lengths <= {-1, 0}:
            return None
        # Files of one row have no shape that tells; their size in pixels stands for it.
        files = any(value.dtype == object for value in self.feeds.values())
        shapes = tuple(sorted((name, value.shape[1:]) for name, value in self.feeds.items()))
        size = self.pixels / self.rows if files else None
        return (self.servable, self.signature.name, self.outputs, shapes, size)


class Scheduler:
    """Threads that run tasks in the order they came, joined into batches.

    Departs from TF Serving: pictures of different sizes never meet in a batch (there they fail it),
    and when a batch fails its tasks run again one by one, so that only the guilty fail.

    Args:
        workers: Batches that run at once.
        max_batch_size: Most rows of a batch; a larger task runs alone.
        batch_timeout_s: Longest wait for more tasks of a kind.
        max_queue: Tasks that may wait.
        max_pixels: Most pixels of a batch.
        on_batch: Function of a model's name and the number of rows that ran together.
    """

    def __init__(
        self,
        *,
        workers,
        max_batch_size,
        batch_timeout_s,
        max_queue,
        max_pixels,
        on_batch=lambda model, rows: None,
    ):
        self._max_batch_size = max_batch_size
        self._batch_timeout_s = batch_timeout_s if max_batch_size > 1 else 0.0
        self._max_queue, self._max_pixels = max_queue, max_pixels
        self._on_batch = on_batch
        self._queue, self._running, self._closed = [], set(), False
        self._changed = threading.Condition()
        self._threads = [
            threading.Thread(target=self._work, name=f"tfstyle-run-{i}", daemon=True)
            for i in range(workers)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, task):
        """Queue a task; its `future` gets the result. The servable is held until then.

        Raises:
            StatusError: UNAVAILABLE if the queue is full or closed.
        """
        with self._changed:
            if self._closed:
                raise StatusError("UNAVAILABLE", "The server is shutting down")
            if len(self._queue) >= self._max_queue:
                raise StatusError(
                    "UNAVAILABLE",
                    "The batch scheduling queue to which this task was submitted is full",
                )
            if not task.servable.retain():
                raise StatusError("UNAVAILABLE", "The servable is being unloaded")
            self._queue.append(task)
            self._changed.notify_all()
        task.future.add_done_callback(lambda future: self._forget(task))

    def run(self, task):
        """Queue a task, wait, and return its outputs.

        Raises:
            StatusError: What went wrong; DEADLINE_EXCEEDED if the task's deadline passed.
        """
        self.submit(task)
        try:
            return task.future.result(max(0.0, task.deadline - time.monotonic()))
        except concurrent.futures.TimeoutError:
            task.future.cancel()
            raise StatusError("DEADLINE_EXCEEDED", "Deadline exceeded") from None
        except concurrent.futures.CancelledError:
            raise StatusError("CANCELLED", "The client went away") from None

    def close(self, timeout_s):
        """Run what is queued and end the threads; after `timeout_s` seconds break off what runs."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._join(timeout_s)
        with self._changed:
            left = [*self._queue, *self._running]
        for task in left:
            if not task.future.cancel():
                task.servable.interrupt()
        self._join(1.0)

    def _join(self, timeout_s):
        deadline = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _forget(self, task):
        """Let go of a task that is done or cancelled."""
        with self._changed:
            if task in self._queue:
                self._queue.remove(task)
            self._running.discard(task)
        task.servable.release()

    def _work(self):
        while True:
            with self._changed:
                while not (batch := self._take()):
                    if self._closed and not self._queue:
                        return
                    self._changed.wait(self._wait_s())
                self._running.update(batch)
            self._execute(batch)
            batch = None  # or the thread would hold the last pictures until the next come

    def _ripe_at(self, task):
        waits = task.key is not None and not self._closed
        return task.queued_at + (self._batch_timeout_s if waits else 0.0)

    def _wait_s(self):
        """Seconds until something is to be done; None for when something comes."""
        times = [self._ripe_at(task) for task in self._queue]
        return max(0.0, min(times) - time.monotonic()) if times else None

    def _take(self):
        """Take the oldest batch that is full or has waited long enough off the queue."""
        now, seen = time.monotonic(), set()
        for first in self._queue:
            key = first.key
            if key is None or self._max_batch_size == 1:
                self._queue.remove(first)
                return [first]
            if key in seen:
                continue
            seen.add(key)
            batch, rows, pixels, full = [], 0, 0, False
            for task in self._queue:
                if task.key != key:
                    continue
                more = rows + task.rows, pixels + task.pixels
                if batch and (more[0] > self._max_batch_size or more[1] > self._max_pixels):
                    full = True
                    break
                batch.append(task)
                rows, pixels = more
            if full or rows >= self._max_batch_size or now >= self._ripe_at(first):
                self._queue = [task for task in self._queue if task not in batch]
                return batch
        return []

    def _execute(self, batch):
        batch = [task for task in batch if task.future.set_running_or_notify_cancel()]
        if not batch:
            return
        try:
            results = self._run_together(batch)
        except Exception as error:
            if len(batch) > 1:
                for task in batch:
                    self._execute_alone(task)
                return
            results = [_status(error)]
        for task, result in zip(batch, results, strict=True):
            _settle(task.future, result)

    def _execute_alone(self, task):
        try:
            result = self._run_together([task])[0]
        except Exception as error:
            result = _status(error)
        _settle(task.future, result)

    def _run_together(self, batch):
        """Return the outputs of each task of a batch."""
        first, rows = batch[0], [task.rows for task in batch]
        timeout_s = max(task.deadline for task in batch) - time.monotonic()
        feeds = first.feeds
        if len(batch) > 1:
            feeds = {name: np.concatenate([t.feeds[name] for t in batch]) for name in feeds}
        outputs = first.servable.run(first.signature, feeds, first.outputs, timeout_s)
        self._on_batch(first.servable.name, sum(rows))
        if len(batch) == 1:
            return [outputs]
        for name, value in outputs.items():
            if np.shape(value)[:1] != (sum(rows),):
                first.signature.batches = False  # its first axis was none of the batch
                raise StatusError("INTERNAL", f"output {name} does not keep the batch axis")
        ends = np.cumsum(rows)
        return [
            {name: value[end - count : end] for name, value in outputs.items()}
            for end, count in zip(ends, rows, strict=True)
        ]


def _status(error):
    """Return any error as a `StatusError`; what should not happen is logged."""
    if isinstance(error, StatusError):
        return error
    if isinstance(error, MemoryError):
        return StatusError("RESOURCE_EXHAUSTED", "Out of memory")
    log.error("a request failed unexpectedly", exc_info=error)
    return StatusError("INTERNAL", f"{type(error).__name__}: {error}")


def _settle(future, result):
    """Give a future its result or its error."""
    if isinstance(result, StatusError):
        future.set_exception(result)
    else:
        future.set_result(result)
