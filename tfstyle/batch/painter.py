"""What workers do: paint the photographs of a task, and write them so that none is done twice."""

import errno
import hashlib
import itertools
import json
import os
import threading
import time
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import NamedTuple

import apache_beam as beam
from apache_beam.metrics import Metrics
from apache_beam.ml.inference.base import ModelHandler

from tfstyle.batch import places
from tfstyle.batch.looks import network_file
from tfstyle.painting import zoo
from tfstyle.painting.doors import paint_photos
from tfstyle.painting.together import batches
from tfstyle.pictures import encode
from tfstyle.pictures.shards import tar_of, tfrecord_of

MANIFEST = "manifest"  # folder in the output: a file for each task that is done
LEFT_OUT = "left_out"  # tag of what could not be done
SHARD = "painted-"  # how shards' names begin

# Names that no picture can have: too long, or a file and a folder at once.
IMPOSSIBLE = (errno.ENAMETOOLONG, errno.EEXIST, errno.ENOTDIR, errno.EISDIR)

TOO_LARGE = "There is not enough memory to paint it. Give a `size`, or workers more memory."

_painting = threading.Lock()  # a network paints on all cores, or the GPU, whoever asks


class Job(NamedTuple):
    """A picture to paint.

    Attributes:
        out: Path of the painting in the output; what it is known by.
        photo: `places.Photo`.
        look: Name of the style.
    """

    out: str
    photo: places.Photo
    look: str


@dataclass(frozen=True)
class Task:
    """Jobs that are done in one go.

    Attributes:
        jobs: Tuple of `Job`.
        points: `{name of style: looks.Point}`.
    """

    jobs: tuple
    points: dict

    def __len__(self):
        return len(self.jobs)

    @property
    def name(self):
        """Name that the same jobs always have."""
        return hashlib.sha256("\n".join(sorted(job.out for job in self.jobs)).encode()).hexdigest()


class Painted(NamedTuple):
    """A task that is painted, but not written.

    Attributes:
        task: The task's name.
        files: `{path in the output: bytes}`.
        records: What the manifest tells of each.
        left_out: What was left out, as `left_out` returns it.
    """

    task: str
    files: dict
    records: list
    left_out: list


class _Output(NamedTuple):
    """What `batches` hands through for a photograph."""

    photo: places.Photo
    suffix: str


def left_out(source, error, out=None):
    """Return what the file of dead letters tells."""
    return {"in": source, "out": out, "reason": " ".join(str(error).split())}


def _look(job):
    return job.look


def _is_too_large(error):
    """Tell whether memory, or the GPU's, was at fault."""
    return isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError"


class Networks(dict):
    """Networks by `Look.network`; RunInference shares among threads what may be referred to
    weakly."""


class Painter(ModelHandler):
    """Paint tasks, for RunInference, which loads the networks once in a process.

    Args:
        networks: List of `Look.network`.
        config: `BatchConfig`.
    """

    def __init__(self, networks, config):
        super().__init__()
        self._networks, self._config = networks, config

    def load_model(self):
        os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # processes share a GPU
        return Networks({name: zoo.load(network_file(name)) for name in self._networks})

    def get_num_bytes(self, batch):
        return sum(job.photo.length for job in batch.jobs)

    def get_metrics_namespace(self):
        return "tfstyle"

    def run_inference(self, batch, model, inference_args=None):
        """Paint a `Task`; return a list of one `Painted`."""
        from tfstyle.painting.sizes import TOGETHER

        begun = time.monotonic()
        painted = Painted(batch.name, {}, [], [])
        wanted = {}
        for job in batch.jobs:
            wanted.setdefault(job.photo, []).append(job)

        def leave_out(_, output, error):
            for job in wanted[output.photo]:
                painted.left_out.append(left_out(job.photo.source, error, job.out))

        photos = []
        for photo, jobs in wanted.items():
            output = _Output(photo, PurePosixPath(jobs[0].out).suffix)
            try:
                photos.append((places.read(photo), output))
            except Exception as error:  # file systems raise anything
                leave_out(photo, output, error)
        last = time.monotonic()
        for together in batches(photos, self._config.size, TOGETHER, leave_out):
            pictures = {output.photo: picture for output, picture in together}
            jobs = sorted((job for photo in pictures for job in wanted[photo]), key=_look)
            for look, jobs_of_look in itertools.groupby(jobs, _look):
                self._paint(batch.points[look], [*jobs_of_look], pictures, painted, last)
                last = time.monotonic()
        Metrics.counter("tfstyle", "busy_ms").inc(round(1000 * (time.monotonic() - begun)))
        return [painted]

    def _paint(self, point, jobs, pictures, painted, begun):
        """Paint photographs of one size in one style."""
        try:
            with _painting:
                images = paint_photos([pictures[job.photo] for job in jobs], point, self._config)
        except Exception as error:
            if not _is_too_large(error):
                raise
            painted.left_out.extend(left_out(job.photo.source, TOO_LARGE, job.out) for job in jobs)
            return
        for job, image in zip(jobs, images, strict=True):
            suffix = PurePosixPath(job.out).suffix
            content = painted.files[job.out] = encode(image, suffix, quality=self._config.quality)
            painted.records.append(
                {
                    "in": job.photo.source,
                    "out": job.out,
                    "style": job.look,
                    "sha256": hashlib.sha256(content).hexdigest(),
                    "seconds": round((time.monotonic() - begun) / len(jobs), 4),
                }
            )


class Write(beam.DoFn):
    """Write what is painted, and then the task's part of the manifest, by which it is done.

    All names follow from the task, so that a task that is done again replaces what it wrote.

    Args:
        output: Path of the output.
        shards: As in `BatchConfig`.
    """

    def __init__(self, output, shards):
        self._output, self._shards = output, shards

    def process(self, painted):
        begun = time.monotonic()
        files, records = painted.files, painted.records
        if self._shards and files:
            shard = f"{SHARD}{painted.task[:16]}.{self._shards}"
            files = {shard: self._whole(files, records)}
            records = [record | {"shard": shard} for record in records]
        impossible = {}
        for name, content in files.items():
            try:
                places.write_file(f"{self._output}/{name}", content)
            except (ValueError, OSError) as error:
                if isinstance(error, OSError) and error.errno not in IMPOSSIBLE:
                    raise
                impossible[name] = error
        lost = [record for record in records if record["out"] in impossible]
        records = [record for record in records if record["out"] not in impossible]
        if records:
            lines = "".join(json.dumps(record) + "\n" for record in records)
            places.write_file(
                f"{self._output}/{MANIFEST}/{painted.task[:16]}.jsonl", lines.encode()
            )
        Metrics.counter("tfstyle", "painted").inc(len(records))
        Metrics.counter("tfstyle", "busy_ms").inc(round(1000 * (time.monotonic() - begun)))
        yield from painted.left_out
        for record in lost:
            yield left_out(record["in"], impossible[record["out"]], record["out"])

    def _whole(self, files, records):
        if self._shards == "tfrecord":
            return tfrecord_of(files)
        whole = {}
        for record in records:  # WebDataset takes what has one name up to its dot together
            whole[record["out"]] = files[record["out"]]
            name = str(PurePosixPath(record["out"]).with_suffix(".json"))
            whole[name] = json.dumps(record).encode()
        return tar_of(whole)
