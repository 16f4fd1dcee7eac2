"""A queue of requests in which those of one model, signature and picture size run together.

It has no threads: one of those that bring the requests of a batch runs it, while the others wait.
A request that comes alone is handed to nobody, which saves half a millisecond.
"""

import functools
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tfstyle.serving.status import StatusError, as_status


@dataclass(eq=False, kw_only=True)
class Task:
    """A checked request.

    Attributes:
        servable: What runs it, held by the caller.
        signature: `Signature` of the servable.
        feeds: Dict of arrays.
        outputs: Names of the outputs.
        pixels: Number of pixels in it.
        deadline: `time.monotonic()` at which its client gives up.
        result: The dict of output arrays, or a `StatusError`; None until there is one.
        batch: Tasks that its thread has to run, itself among them.
        wake: Set when `result` or `batch` is there.
    """

    servable: Any
    signature: Any
    feeds: dict
    outputs: tuple
    pixels: int
    deadline: float
    result: object = None
    batch: list = field(default_factory=list)
    wake: threading.Event = field(default_factory=threading.Event)
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
    """Runs tasks in the order they came, joined into batches.

    Departs from TF Serving: pictures of different sizes never meet in a batch (there they fail it),
    and when a batch fails its tasks run again one by one, so that only the guilty fail.

    Args:
        workers: Batches that run at once.
        max_batch_size: Most rows of a batch; a larger task runs alone.
        batch_timeout_s: Longest wait for more tasks of a kind.
        max_queue: Tasks that may wait.
        max_pixels: Most pixels of a batch.
        on_batch: Function of a servable and the number of rows that ran together.
    """

    def __init__(
        self,
        *,
        workers,
        max_batch_size,
        batch_timeout_s,
        max_queue,
        max_pixels,
        on_batch=lambda servable, rows: None,
    ):
        self._free, self._max_batch_size = workers, max_batch_size
        self._batch_timeout_s = batch_timeout_s if max_batch_size > 1 else 0.0
        self._max_queue, self._max_pixels = max_queue, max_pixels
        self._on_batch = on_batch
        self._queue, self._running, self._closed = [], set(), False
        self._changed = threading.Condition()

    def run(self, task):
        """Run a task, here or in the thread of another task of its batch; return its outputs.

        Raises:
            StatusError: What went wrong: UNAVAILABLE if the queue is full or closed,
                DEADLINE_EXCEEDED if the task's deadline passed, CANCELLED after `cancel`.
        """
        self._enter(task)
        if batch := self._wait(task):
            try:
                self._execute(batch)
            finally:
                self._leave(batch)
        if isinstance(task.result, StatusError):
            # A copy: its traceback leads to the task, which would never let go of its pictures.
            raise StatusError(task.result.code, task.result.message)
        return task.result

    def depth(self):
        """Return how many tasks wait."""
        return len(self._queue)

    def cancel(self, task):
        """Give a task up. What runs already runs on."""
        self._settle(task, StatusError("CANCELLED", "The client went away"))

    def close(self, timeout_s):
        """Finish what is queued; after `timeout_s` seconds break off what runs."""
        with self._changed:
            self._closed = True
            self._assign()
            self._wait_until_idle(timeout_s)
            waiting, running = list(self._queue), list(self._running)
        for task in waiting:
            self._settle(task, StatusError("UNAVAILABLE", "The server is shutting down"))
        for task in running:
            task.servable.interrupt()
        with self._changed:
            self._wait_until_idle(1.0)

    def _wait_until_idle(self, timeout_s):
        self._changed.wait_for(lambda: not self._queue and not self._running, timeout_s)

    def _enter(self, task):
        """Queue a task, unless it was cancelled before."""
        with self._changed:
            if self._closed:
                raise StatusError("UNAVAILABLE", "The server is shutting down")
            if len(self._queue) >= self._max_queue:
                raise StatusError(
                    "UNAVAILABLE",
                    "The batch scheduling queue to which this task was submitted is full",
                )
            if task.result is None:
                self._queue.append(task)
                self._assign()

    def _wait(self, task):
        """Sleep until a task has its result, or a batch to run, and return the batch."""
        while not task.wake.wait(self._sleep_s(task)):
            if time.monotonic() >= task.deadline:
                self._settle(task, StatusError("DEADLINE_EXCEEDED", "Deadline exceeded"))
            with self._changed:
                self._assign()
        # Not left in the task, which would hold itself and its pictures for ever.
        batch, task.batch = task.batch, []
        return batch

    def _sleep_s(self, task):
        """Seconds until a task waits for others no longer, or after that until its deadline."""
        now, ripe = time.monotonic(), self._ripe_at(task)
        return max(0.0, (ripe if now < ripe < task.deadline else task.deadline) - now)

    def _assign(self):
        """Give the batches that are due to the threads of their first tasks; the lock is held."""
        while self._free and (batch := self._take()):
            self._free -= 1
            self._running.update(batch)
            batch[0].batch = batch
            batch[0].wake.set()

    def _leave(self, batch):
        """Let the next run."""
        with self._changed:
            self._free += 1
            self._running.difference_update(batch)
            self._assign()
            self._changed.notify_all()

    def _settle(self, task, result):
        """Give a task its result, if it has none."""
        with self._changed:
            if task.result is None:
                task.result = result
                if task in self._queue:
                    self._queue.remove(task)
                    self._changed.notify_all()
                task.wake.set()

    def _ripe_at(self, task):
        waits = task.key is not None and not self._closed
        return task.queued_at + (self._batch_timeout_s if waits else 0.0)

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
        """Give each task of a batch its result."""
        batch = [task for task in batch if task.result is None]
        if not batch:
            return
        try:
            results = self._run_together(batch)
        except Exception as error:
            if len(batch) > 1:
                for task in batch:
                    self._execute([task])
                return
            results = [as_status(error)]
        for task, result in zip(batch, results, strict=True):
            self._settle(task, result)

    def _run_together(self, batch):
        """Return the outputs of each task of a batch."""
        first, rows = batch[0], [task.rows for task in batch]
        if time.monotonic() >= max(task.deadline for task in batch):
            raise StatusError("DEADLINE_EXCEEDED", "Deadline exceeded before the model ran")
        feeds = first.feeds
        if len(batch) > 1:
            feeds = {name: np.concatenate([t.feeds[name] for t in batch]) for name in feeds}
        outputs = first.servable.run(first.signature, feeds, first.outputs)
        self._on_batch(first.servable, sum(rows))
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
