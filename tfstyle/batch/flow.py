"""The pipeline: find photographs, leave out what is done, share out, paint and write the rest."""

import json
import zlib
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems
from apache_beam.metrics import Metrics
from apache_beam.metrics.metric import MetricsFilter
from apache_beam.ml.inference.base import RunInference
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.pvalue import AsDict, AsSingleton, TaggedOutput

from tfstyle.batch import places
from tfstyle.batch.looks import looks_of, point_of
from tfstyle.batch.painter import LEFT_OUT, MANIFEST, SHARD, Job, Painter, Task, Write, left_out
from tfstyle.config import BatchConfig, with_fields
from tfstyle.pictures import SAVE_SUFFIXES, as_list_of_pictures
from tfstyle.pictures.files import is_temporary
from tfstyle.pictures.shards import SHARD_SUFFIXES

LOCAL = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"  # a process, or several
DEAD_LETTERS = "dead_letters.jsonl"
SETTINGS = "tfstyle.json"
TASK_BYTES = 64_000_000  # of photographs' files; a worker holds all of a task
SHARED_OUT = 10_000  # jobs that one worker makes tasks of


class Report(NamedTuple):
    """How a run went.

    Attributes:
        painted: Pictures painted.
        left_out: Pictures that could not be; `dead_letters.jsonl` tells why.
        done_before: Pictures that an earlier run had painted.
        busy_s: Seconds that workers were at it, all together.
    """

    painted: int
    left_out: int
    done_before: int
    busy_s: float


def pipeline(
    content: str | Sequence[str],
    style: str | Sequence[str],
    output: str,
    config: BatchConfig | None = None,
    options: PipelineOptions | Sequence[str] | None = None,
    **overrides: Any,
) -> beam.Pipeline:
    """Return a pipeline of Apache Beam that paints photographs in one pass.

    Args:
        content: A photograph; a folder, searched with all folders in it; a pattern such as
            "gs://bucket/photos/**.jpg"; a tar archive or TFRecord file of photographs, not
            compressed; a `.txt` file with the path of such a file in each line; or a list of these.
            On any file system that Beam knows.
        style: A trained style, by its name or `.keras` file, or a painting; or several: a list, a
            folder of paintings, a pattern. Each photograph is then painted in each style.
        output: Folder for the paintings, which keep the names that the photographs have in their
            folder, below the style's name where there are several; for `manifest/*.jsonl`, which
            tells of each, and `dead_letters.jsonl`, which tells what was left out and why.
        config: `BatchConfig`.
        options: Beam's `PipelineOptions`, or a list of its flags. Default: Beam's own
            runner, in this process.
        **overrides: Fields of `BatchConfig` by name: `size=512, shards="tar"`.

    Returns:
        `apache_beam.Pipeline`, for `run()`. Run again, it paints what is missing and nothing twice.

    Raises:
        FileNotFoundError: If photographs or a style are missing.
        ValueError: If a painting cannot be read, or the output holds paintings in another way.
        TypeError: If there is no such field.

    Example:

    ```python
    result = tfstyle.batch.pipeline("photos/", "wave", "painted/").run()
    result.wait_until_finish()
    print(tfstyle.batch.report(result))
    ```
    """
    config = with_fields(config or BatchConfig(), **overrides)
    output = places.absolute(output)
    content = [places.absolute(place) for place in as_list_of_pictures(content)]
    for place in content:
        if places.is_same(place, output):
            raise ValueError(
                "`output` must be another folder than that of the photographs, or the next run "
                f"would paint the paintings. Received: '{output}'."
            )
        places.check_exists(place)
    looks, several = looks_of(style, config.recipe)
    networks = sorted({look.network for look in looks})

    if not isinstance(options, PipelineOptions):
        options = PipelineOptions(list(options or ("--runner", LOCAL)))
    result = Painting(options=options)  # which checks them, before anything is written
    result.looks = len(looks)
    _settle(output, looks, several, config)
    photos = (
        result
        | "Content" >> beam.Create(content)
        | "Find" >> beam.FlatMap(places.find, output)
        | "Spread" >> beam.Reshuffle()
        | "Unpack" >> beam.ParDo(Unpack()).with_outputs(LEFT_OUT, main="photos")
    )
    jobs = photos.photos | "Jobs" >> beam.ParDo(
        MakeJobs([look.name for look in looks], several, output, bool(config.shards))
    ).with_outputs(LEFT_OUT, main="jobs")
    missing = (
        {"jobs": jobs.jobs, "done": _done(result, output)}
        | "Join" >> beam.CoGroupByKey()
        | "Missing" >> beam.ParDo(Missing()).with_outputs(LEFT_OUT, main="jobs")
    )
    total = missing.jobs | "Count" >> beam.combiners.Count.Globally()
    points = result | "Looks" >> beam.Create(looks) | "Points" >> beam.Map(point_of)
    failed = (
        missing.jobs
        | "Share out" >> beam.Map(_share, AsSingleton(total))
        | "Shares" >> beam.GroupByKey()
        | "Tasks" >> beam.FlatMap(_tasks, config.task_size)
        | "Spread tasks" >> beam.Reshuffle()
        | "With points" >> beam.Map(Task, AsDict(points))
        | "Paint" >> RunInference(Painter(networks, config).with_no_batching())
        | "Write" >> beam.ParDo(Write(output, config.shards))
    )
    _ = (
        (photos[LEFT_OUT], jobs[LEFT_OUT], missing[LEFT_OUT], failed)
        | "Left out" >> beam.Flatten()
        | "Dead letters" >> beam.combiners.ToList()
        | "Write dead letters" >> beam.Map(_write_dead_letters, f"{output}/{DEAD_LETTERS}")
    )
    return result


class Painting(beam.Pipeline):
    """A pipeline that paints.

    Attributes:
        looks: Number of styles that each photograph is painted in.
    """

    looks = 1


def report(result):
    """Return the `Report` of a run that has finished.

    Args:
        result: What `run()` of the pipeline returned.
    """
    found = result.metrics().query(MetricsFilter().with_namespace("tfstyle"))["counters"]
    counts = dict.fromkeys(("painted", "left_out", "done_before", "busy_ms"), 0)
    for counter in found:
        if counter.key.metric.name in counts:
            counts[counter.key.metric.name] += counter.committed or counter.attempted or 0
    painted, left_out, done_before, busy_ms = counts.values()
    return Report(painted, left_out, done_before, busy_ms / 1000)


class Unpack(beam.DoFn):
    """Give the photographs in shards, and those outside."""

    def process(self, photo):
        if not places.is_shard(photo):
            yield photo
            return
        try:
            yield from places.unpack(photo)
        except (ValueError, OSError) as error:
            yield TaggedOutput(LEFT_OUT, left_out(photo.source, error))


class MakeJobs(beam.DoFn):
    """Give a photograph's paintings their names, and key them by these.

    Args:
        looks: List of names of styles.
        several: Whether paintings go to a folder for each style.
        output: Path of the output.
        in_shards: Whether they go to shards, where a name may have one dot alone.
    """

    def __init__(self, looks, several, output, in_shards):
        self._looks, self._several = looks, several
        self._output, self._in_shards = output, in_shards

    def process(self, photo):
        name = PurePosixPath(photo.name)
        source = photo.source.encode("utf-8", "backslashreplace").decode()
        if name.is_absolute() or ".." in name.parts or source != photo.source:
            error = "A name must be in UTF-8 and lie in the output. Rename the photograph."
            yield TaggedOutput(LEFT_OUT, left_out(source, error))
            return
        if name.suffix.lower() not in SAVE_SUFFIXES:
            name = name.with_name(f"{name.name}.png")
        if self._in_shards:
            name = name.with_name(name.stem.replace(".", "_") + name.suffix)
        for look in self._looks:
            out = f"{look}/{name}" if self._several else str(name)
            if places.is_same(f"{self._output}/{out}", photo.path):
                error = "Its painting would replace it. Choose another output."
                yield TaggedOutput(LEFT_OUT, left_out(source, error, out))
            else:
                yield out, Job(out, photo, look)


class Missing(beam.DoFn):
    """Give the jobs that no earlier run has done; of several with one name the first."""

    def process(self, element):
        out, found = element
        jobs = sorted(found["jobs"], key=lambda job: job.photo.source)
        if not jobs:
            return
        if any(found["done"]):
            Metrics.counter("tfstyle", "done_before").inc()
        else:
            yield jobs[0]
        for job in jobs[1:]:
            if job.photo != jobs[0].photo:
                error = f"Its painting would have the name of that of '{jobs[0].photo.source}'."
                yield TaggedOutput(LEFT_OUT, left_out(job.photo.source, error, out))


class Existing(beam.DoFn):
    """Give what is painted by file and manifest; remove what a killed worker left: shards that no
    manifest knows, temporary files."""

    def __init__(self, output):
        self._output = output

    def process(self, element):
        file, found = element
        name = PurePosixPath(file)
        there, records = any(found["files"]), list(found["records"])
        if there and records:
            yield from ((record["out"], True) for record in records)
        elif there and (
            is_temporary(name.name) or (name.suffix in SHARD_SUFFIXES and file.startswith(SHARD))
        ):
            places.remove_file(f"{self._output}/{file}")


def _done(pipeline, output):
    """Return what earlier runs have painted, as pairs of its name and True."""
    files = pipeline | "Output" >> beam.Create([output]) | "List" >> beam.FlatMap(places.list_files)
    records = (
        files
        | "Manifest" >> beam.Filter(is_manifest)
        | "Spread manifest" >> beam.Reshuffle()
        | "Records" >> beam.FlatMap(records_in, output)
    )
    files = files | "Files" >> beam.Map(lambda file: (file, True))
    joined = {"files": files, "records": records} | "Join done" >> beam.CoGroupByKey()
    return joined | "Existing" >> beam.ParDo(Existing(output))


def is_manifest(file):
    """Tell whether a file is a part of the manifest, and whole."""
    folder, _, name = file.rpartition("/")
    return folder == MANIFEST and name.endswith(".jsonl") and not is_temporary(name)


def records_in(file, output):
    """Yield the records of a part of the manifest, keyed by the file that a picture is in.

    Raises:
        ValueError: If it is damaged.
    """
    path = f"{output}/{file}"
    for line in places.read_file(path).splitlines():
        try:
            record = json.loads(line)
            key = record.get("shard", record["out"])
        except (ValueError, AttributeError, KeyError) as error:
            raise ValueError(
                f"'{path}' is damaged. Remove it, and its pictures are painted again."
            ) from error
        yield key, record


def _share(job, total):
    """Key a job so that those of one file stay together and no key has too many."""
    return zlib.crc32(job.photo.path.encode()) % (1 + total // SHARED_OUT), job


def _tasks(share, most):
    """Yield tuples of jobs for tasks, the same for the same jobs; photographs that lie together
    in a shard stay together."""
    _, jobs = share
    task, size = [], 0
    for job in sorted(jobs, key=lambda job: (job.photo.path, job.photo.begin or 0, job.out)):
        if task and (len(task) == most or size + job.photo.length > TASK_BYTES):
            yield tuple(task)
            task, size = [], 0
        task.append(job)
        size += job.photo.length
    if task:
        yield tuple(task)


def _write_dead_letters(letters, path):
    """Write the file of what was left out, of this run alone."""
    lines = sorted(json.dumps(letter) + "\n" for letter in letters)
    places.write_file(path, "".join(lines).encode())
    Metrics.counter("tfstyle", "left_out").inc(len(letters))


def _known(path):
    """Return what an earlier run noted of its settings."""
    try:
        known = json.loads(places.read_file(path))
    except ValueError:
        known = None
    if isinstance(known, dict) and isinstance(known.get("styles"), dict):
        return known
    raise ValueError(
        f"'{path}' must tell how the pictures beside it were painted. Received: something else. "
        "Choose another output, or remove that file if all were painted in this way."
    )


def _settle(output, looks, several, config):
    """Check that what an output holds was painted in the same way, and note the way there.

    Raises:
        ValueError: If it was not, or the note there is damaged.
        OSError: If the output cannot be written to.
    """
    places.check_output(output)
    way = {"folder_for_each_style": several, **vars(config)}
    for field in ("task_size", "recipe"):
        del way[field]
    styles = {look.name: look.checksum for look in looks}
    path = f"{output}/{SETTINGS}"
    if FileSystems.exists(path):
        known = _known(path)
        other = [name for name in way if known.get(name) != way[name]]
        other += [
            name for name in styles if known["styles"].get(name, styles[name]) != styles[name]
        ]
        if other:
            raise ValueError(
                f"'{output}' holds paintings of a run with another {', '.join(other)}. Choose "
                "another output, or the same settings."
            )
        styles = known["styles"] | styles
    places.write_file(path, json.dumps(way | {"styles": styles}, indent=1).encode())
