import collections
import concurrent.futures
import random
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

from tfstyle.serving.batching import Scheduler, Task
from tfstyle.serving.status import StatusError


class Model:
    """Doubles its input, as often as it may; notes who ran what."""

    name = "double"

    def __init__(self):
        self.may, self.runs = threading.Semaphore(100), []

    def run(self, signature, feeds, outputs):
        self.runs.append((threading.current_thread(), feeds["x"].ravel().tolist()))
        assert self.may.acquire(timeout=10)
        if np.isnan(feeds["x"]).any():
            raise StatusError("INVALID_ARGUMENT", "not a number")
        return {"y": 2 * feeds["x"]}

    def interrupt(self):
        self.may.release(100)


@pytest.fixture
def model():
    return Model()


@pytest.fixture
def scheduler():
    scheduler = Scheduler(
        workers=1, max_batch_size=4, batch_timeout_s=0.0, max_queue=8, max_pixels=100
    )
    yield scheduler
    scheduler.close(1.0)


@pytest.fixture
def pool():
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        yield pool


def make_task(model, value=1.0, timeout_s=10.0):
    return Task(
        servable=model,
        signature=SimpleNamespace(name="serving_default", batches=True),
        feeds={"x": np.full((1, 2), value)},
        outputs=("y",),
        pixels=1,
        deadline=time.monotonic() + timeout_s,
    )


@pytest.fixture
def submit(pool, scheduler, wait_until):
    """Function that queues tasks one after the other, each in a thread of its own, and returns
    their futures."""

    def submit(*tasks):
        futures = []
        for task in tasks:
            futures.append(pool.submit(scheduler.run, task))
            wait_until(lambda task=task: task in scheduler._queue or task in scheduler._running)
        return futures

    return submit


def test_a_lone_request_runs_in_the_thread_that_brought_it(model, scheduler):
    assert scheduler.run(make_task(model, 3.0))["y"].tolist() == [[6.0, 6.0]]
    assert model.runs == [(threading.current_thread(), [3.0, 3.0])]


def test_what_comes_while_another_runs_is_run_together(model, submit):
    model.may = threading.Semaphore(0)
    futures = submit(*(make_task(model, value) for value in range(6)))
    model.may.release(100)
    assert [future.result()["y"][0, 0] for future in futures] == [0, 2, 4, 6, 8, 10]
    assert [len(values) // 2 for _, values in model.runs] == [1, 4, 1]


def test_one_bad_request_of_a_batch_fails_alone(model, submit):
    model.may = threading.Semaphore(0)
    tasks = [make_task(model, value) for value in (0.0, 1.0, np.nan, 3.0)]
    futures = submit(*tasks)
    model.may.release(100)
    assert [future.exception() is None for future in futures] == [True, True, False, True]
    with pytest.raises(StatusError, match="not a number"):
        futures[2].result()


def test_a_deadline_counts_in_the_queue_and_in_the_batch_of_another(model, submit, wait_until):
    model.may = threading.Semaphore(0)
    first, late = submit(make_task(model), make_task(model, timeout_s=0.2))
    with pytest.raises(StatusError, match="Deadline exceeded"):
        late.result()
    leader, follower = submit(make_task(model), make_task(model, timeout_s=0.5))
    model.may.release()
    assert first.result()
    wait_until(lambda: len(model.runs) == 2)
    with pytest.raises(StatusError, match="Deadline exceeded"):
        follower.result()
    assert not leader.done()
    model.may.release()
    assert leader.result()


def test_cancelling_one_leaves_the_rest_of_its_batch(model, scheduler, submit, wait_until):
    model.may = threading.Semaphore(0)
    tasks = [make_task(model, value) for value in range(4)]
    futures = submit(*tasks)
    scheduler.cancel(tasks[1])  # in the queue
    with pytest.raises(StatusError, match="went away"):
        futures[1].result()
    model.may.release()
    wait_until(lambda: len(model.runs) == 2)
    scheduler.cancel(tasks[2])  # while its thread runs the two that are left
    model.may.release()
    with pytest.raises(StatusError, match="went away"):
        futures[2].result()
    assert futures[3].result()["y"][0, 0] == 6


def test_close_breaks_off_what_runs_and_refuses_what_waits(model, scheduler, submit):
    model.may = threading.Semaphore(0)
    running, waiting = submit(make_task(model), make_task(model))
    scheduler.close(0.1)
    assert running.result()["y"][0, 0] == 2
    with pytest.raises(StatusError, match="shutting down"):
        waiting.result()
    with pytest.raises(StatusError, match="shutting down"):
        scheduler.run(make_task(model))


def test_in_a_crowd_each_request_gets_its_own_answer_once(model, pool):
    scheduler = Scheduler(
        workers=2, max_batch_size=4, batch_timeout_s=0.002, max_queue=20, max_pixels=100
    )
    model.may = threading.Semaphore(10_000)
    answers = collections.Counter()

    def work(seed):
        chance = random.Random(seed)
        for number in range(100):
            value = np.nan if chance.random() < 0.1 else float(1000 * seed + number)
            task = make_task(model, value, timeout_s=chance.choice((0.001, 10, 10, 10)))
            if chance.random() < 0.1:
                threading.Timer(0.01 * chance.random(), scheduler.cancel, [task]).start()
            try:
                assert scheduler.run(task)["y"].tolist() == [[2 * value, 2 * value]]
                answers["OK"] += 1
            except StatusError as error:
                guilty = error.code != "INVALID_ARGUMENT" or np.isnan(value)
                answers[error.code if guilty else "another's fault"] += 1
            assert task.batch == []

    list(pool.map(work, range(8)))
    assert answers.total() == 800
    assert answers.keys() <= {"OK", "INVALID_ARGUMENT", "CANCELLED", "DEADLINE_EXCEEDED"}
    assert answers["OK"] > 300
    assert (scheduler._free, scheduler._queue, scheduler._running) == (2, [], set())
