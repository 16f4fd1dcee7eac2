"""`tfstyle batch`: paint very many photographs on Apache Beam."""

import contextlib
import itertools
import logging
import sys
import threading
import time
from dataclasses import dataclass
from typing import Annotated

import tyro

from tfstyle.cli import flags
from tfstyle.cli.quiet import load_tensorflow
from tfstyle.config import BatchConfig
from tfstyle.progress import Line, clock

TICK_S = 1.0  # between two looks at the manifest
LOCAL_RUNNERS = (None, "DirectRunner", "FnApiRunner", "BundleBasedDirectRunner")


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Paint photographs in one pass on Apache Beam: `tfstyle batch CONTENT... --style STYLE -o
    FOLDER`. CONTENT, which comes first, is a photograph, a folder, a pattern such as
    'gs://bucket/photos/**.jpg', a .tar or .tfrecord of photographs, or a .txt with the path of such
    a file in each line, on any file system that Beam knows. All other flags are Beam's, such as
    --runner FlinkRunner. The same command again paints what is missing."""

    style: tuple[str, ...]
    """Trained style (`tfstyle styles` lists them), network, .keras, painting or folder of
    paintings; of several, each photograph is painted in each."""
    output: Annotated[str, tyro.conf.arg(aliases=("-o",))]
    """Folder for the paintings, manifest/*.jsonl and dead_letters.jsonl."""
    settings: BatchConfig
    """How to paint."""


def parse(arguments):
    """Return content, `Batch` and Beam's flags from `arguments`.

    Raises:
        ValueError: If there is no content, or more after the flags.
    """
    count = next((i for i, word in enumerate(arguments) if word.startswith("-")), len(arguments))
    content, rest = arguments[:count], arguments[count:]
    options, beam = flags.read(Batch, "tfstyle batch", rest, return_unknown_args=True)
    if not content:
        raise ValueError(
            "`content` must come first and name photographs. Received: nothing. "
            "Type tfstyle batch photos/ --style wave -o painted/."
        )
    for before, word in itertools.pairwise(["", *beam]):
        is_value = before.startswith("-") and "=" not in before
        if not word.startswith("-") and not is_value:
            raise ValueError(
                f"`content` must come first, all of it. Received: {word!r} after flags."
            )
    return content, options, beam


def beams_options(words):
    """Return Beam's options from flags; photographs are painted in this process by default.

    Raises:
        ValueError: If a flag is neither ours nor Beam's.
    """
    from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions

    from tfstyle.batch.flow import LOCAL

    options = PipelineOptions(words)
    runner = options.view_as(StandardOptions).runner
    everything = options.get_all_options(retain_unknown_options=True)
    unknown = everything.keys() - options.get_all_options().keys()
    if unknown and runner in LOCAL_RUNNERS:  # others have options that Beam's Python does not know
        names = ", ".join(f"--{name}" for name in sorted(unknown))
        raise ValueError(
            f"`tfstyle batch` and Beam's local runner take no {names}. "
            "`tfstyle batch --help` lists the flags."
        )
    if runner in (None, "FnApiRunner"):
        options.view_as(StandardOptions).runner = LOCAL
    return options


def run(arguments):
    """Paint as `arguments` say; return the exit code: 1 if some photographs were left out."""
    content, options, words = parse(arguments)
    # Beam warns of its parts that are not used here, and prints tracebacks of what it then raises.
    logging.getLogger().addFilter(_is_error)
    logging.getLogger("apache_beam").setLevel(logging.ERROR)
    logging.getLogger("apache_beam.runners.common").setLevel(logging.CRITICAL)
    from tfstyle.batch import pipeline, report
    from tfstyle.batch.flow import DEAD_LETTERS, LOCAL

    beam = beams_options(words)
    where = beam.get_all_options()
    if where["runner"] == LOCAL and where["direct_running_mode"] != "multi_processing":
        load_tensorflow()  # in this process, then
    painting = pipeline(content, list(options.style), options.output, options.settings, beam)
    begun = time.monotonic()
    told = _progress(content, options.output, painting.looks)
    try:
        with told if where["runner"] == LOCAL else contextlib.nullcontext():
            result = painting.run()
            result.wait_until_finish()
    except RuntimeError as error:  # a worker's, with its traceback
        reason = str(error).strip().splitlines()[-1]
        raise OSError(
            f"The run broke off: {reason} The same command goes on from there."
        ) from error
    done, seconds = report(result), time.monotonic() - begun
    if where["runner"] == LOCAL and not done.painted + done.done_before + done.left_out:
        raise ValueError(
            "`content` must name a photograph, or a folder with some. "
            f"Received: {', '.join(content)}."
        )
    print(
        f"{done.painted} painted, {done.done_before} painted before, {done.left_out} left out; "
        f"{done.painted / seconds:.2f} pictures/s, "
        f"{3600 * done.painted / max(done.busy_s, 1e-3):.0f} per worker-hour"
    )
    if done.left_out:
        print(f"{options.output.rstrip('/')}/{DEAD_LETTERS} tells why", file=sys.stderr)
    return 1 if done.left_out else 0


def _is_error(record):
    return record.levelno >= logging.ERROR


@contextlib.contextmanager
def _progress(content, output, looks):
    """Tell how far a run on this machine is, as its manifest grows."""
    ended = threading.Event()
    told = threading.Thread(target=_tell, args=(content, output, looks, ended), daemon=True)
    told.start()
    try:
        yield
    finally:
        ended.set()
        told.join(TICK_S)  # it may be listing photographs still


def _tell(content, output, looks, ended):
    line = Line(at_once=False)
    with contextlib.suppress(Exception):  # the run tells what is wrong
        try:
            _tell_until(ended, line, content, output, looks)
        finally:
            line.end()


def _tell_until(ended, line, content, output, looks):
    from tfstyle.batch import places
    from tfstyle.batch.flow import MANIFEST, is_manifest, records_in

    output, parts, done = places.absolute(output), set(), set()
    sources, shards = set(), False
    for place in map(places.absolute, content):
        for photo in places.find(place, output):
            sources.add(photo.source)
            shards |= places.is_shard(photo)  # nobody has counted what is in them

    def painted():
        for name in places.list_files(f"{output}/{MANIFEST}"):
            part = f"{MANIFEST}/{name}"
            if part not in parts and is_manifest(part):
                parts.add(part)
                done.update((each["in"], each["out"]) for _, each in records_in(part, output))
        return len(done if shards else [source for source, _ in done if source in sources])

    total = None if shards else looks * len(sources)
    begun, before = time.monotonic(), painted()
    while not ended.wait(TICK_S):
        if not line.due():
            continue
        count = painted()
        text = f"{count}/{'?' if total is None else total}"
        if speed := (count - before) / (time.monotonic() - begun):
            text += f"  {speed:.2f} pictures/s"
            text += f"  {clock(max(total - count, 0) / speed)} left" if total else ""
        line.show(text)
