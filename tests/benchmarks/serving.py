"""Requests per second and latency of `tfstyle serve` beside the bare model, and a soak.

    python tests/benchmarks/serving.py speed [--sizes 256 512 --clients 1 4 16 --rounds 5]
    python tests/benchmarks/serving.py soak [--minutes 60 --clients 8]

Both take `--models FOLDER --style NAME`; by default `wave` is exported. `speed`: the server is a
process of its own, clients are threads of this one that send floats or a JPEG and make a PIL image
of the answer; "ready" sends a request made before and leaves the answer as it is, "bare" calls the
same signature of the SavedModel in this process. The ways take turns, and the medians of the rounds
are printed; `--flags "--max-batch-size 1"` goes to the server. `soak`: good requests of several
sizes, over gRPC and REST, and all sorts of bad ones; prints answers by status, and the server's
memory as it goes. It fails if a status is not the one that is due, or memory grows by a fifth after
the first third.
"""

import argparse
import base64
import collections
import contextlib
import functools
import gzip
import http.client
import io
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from PIL import Image

import tfstyle
from tfstyle.serving.client import ServerError, StyleClient
from tfstyle.serving.wire import PredictRequest, write_tensor

SIGNATURES = {"floats": "serving_default", "files": "stylize_bytes"}
TFSTYLE = (sys.executable, "-c", "from tfstyle.cli.main import main; raise SystemExit(main())")
LAKE = Path(tfstyle.__file__).parent / "pictures/lake.jpg"


@contextlib.contextmanager
def models_of(options):
    """Give the folder of models and the style to ask for."""
    if options.models:
        yield options.models, options.style
        return
    with tempfile.TemporaryDirectory() as folder:
        export = [*TFSTYLE, "export", "wave", f"{folder}/wave", "--format", "saved-model"]
        subprocess.run(export, check=True, stdout=subprocess.DEVNULL)
        yield Path(folder), "wave"


@contextlib.contextmanager
def server_process(models, *flags):
    """Run `tfstyle serve`; give its process and its ports, of gRPC and of REST."""
    process = subprocess.Popen(
        [*TFSTYLE, "serve", str(models), "--port", "0", "--rest-port", "0", *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        line = process.stdout.readline()
        if " on port " not in line:
            raise SystemExit(f"the server did not start: {line}")
        yield process, *(int(part.split(",")[0]) for part in line.split(" on port ")[1:])
    finally:
        process.terminate()
        process.wait()


def make_request(style, signature, key, value):
    """Return a request whose input `key` is `value`, as for `write_tensor`."""
    request = PredictRequest()
    request.model_spec.name = style
    request.model_spec.signature_name = signature
    write_tensor(request.inputs[key], value)
    return request


def measure(call, clients, seconds):
    """Return requests per second, and the 50th and 99th percentile in ms, of so many threads."""
    call()  # the first one traces
    times, end = [], time.perf_counter() + seconds

    def work():
        while (begun := time.perf_counter()) < end:
            call()
            times.append(time.perf_counter() - begun)

    threads = [threading.Thread(target=work) for _ in range(clients)]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    elapsed = time.perf_counter() - begun
    return len(times) / elapsed, *(1000 * np.percentile(times, (50, 99)))


def speed(options):
    """Print a row for each size, number of clients and way of asking."""
    import tensorflow as tf

    row = "{:>6} {:>7} {:<16} {:>10.1f} {:>8.1f} {:>8.1f} {:>10.0f} %"
    print(f"pixels clients {'way':<16} requests/s   p50 ms   p99 ms   under bare")
    with models_of(options) as (models, style), contextlib.ExitStack() as stack:
        newest = max((p for p in (models / style).iterdir() if p.name.isdigit()), key=str)
        bare = tf.saved_model.load(str(newest)).signatures
        _, port, _ = stack.enter_context(server_process(models, *options.flags.split()))
        clients_of = {
            name: stack.enter_context(StyleClient(f"127.0.0.1:{port}", signature=signature))
            for name, signature in SIGNATURES.items()
        }
        for size in options.sizes:
            picture = Image.open(LAKE).resize((size, size), Image.Resampling.LANCZOS)
            pixels = np.float32(picture) / 255
            file = io.BytesIO()
            picture.save(file, "JPEG", quality=95)
            sent = {"floats": pixels, "files": file.getvalue()}
            tensors = {"floats": ("image", pixels[None]), "files": ("image_bytes", [sent["files"]])}
            ways = {}
            for name, (key, value) in tensors.items():
                client, signature = clients_of[name], SIGNATURES[name]
                call = functools.partial(bare[signature], **{key: tf.constant(value)})
                ways[f"{name}, bare"] = call
                request = make_request(style, signature, key, value)
                ways[f"{name}, ready"] = functools.partial(client._call, request)
                ways[name] = functools.partial(client.stylize, sent[name], style)
            for clients in options.clients:
                rounds = [
                    {name: measure(call, clients, options.seconds) for name, call in ways.items()}
                    for _ in range(options.rounds)
                ]
                for name in ways:
                    values = np.median([each[name] for each in rounds], axis=0)
                    if name.endswith("bare"):
                        fastest = values[0]
                    under = 100 * (1 - values[0] / fastest)
                    print(row.format(size, clients, name, *values, under), flush=True)


def memory_mb(process):
    """Return the resident memory of a process in MB."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def png(*size):
    file = io.BytesIO()
    Image.new("RGB", size, "teal").save(file, "PNG")
    return file.getvalue()


def soak(options):
    """Send good and bad requests for some minutes; return 1 if something is amiss."""
    counts, wrong, lock = collections.Counter(), [], threading.Lock()
    bomb, cut = png(9000, 9000), png(64, 64)[:-20]
    moving, scans = io.BytesIO(), io.BytesIO()
    frames = [Image.effect_noise((96, 80), 50).convert("RGB") for _ in range(2)]
    frames[0].save(moving, "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    frames[0].save(scans, "JPEG", progressive=True)
    scans = scans.getvalue()[:-2] + 30_000 * b"\xff\xda\x00\x08\x01\x01\x00\x01\x3f\x00\x7f\xff\xd9"
    kept = threading.local()

    def raw(name="", signature="stylize_bytes", key="image_bytes", value=None):
        value = [png(32, 32)] if value is None else value
        request = make_request(name or style, signature, key, value)
        return lambda: client._call(request)

    def rest(body, **headers):
        """Return a function that sends a body over REST, on a connection for each thread."""

        def call():
            if not hasattr(kept, "connection"):
                kept.connection = http.client.HTTPConnection("127.0.0.1", rest_port, timeout=60)
            kept.connection.request("POST", f"/v1/models/{style}:predict", body, headers)
            answer = kept.connection.getresponse()
            answer.read()
            if answer.status != 200:
                raise ServerError(str(answer.status), answer.reason)

        return call

    def in_json(content):
        encoded = {"b64": base64.b64encode(content).decode()}
        return json.dumps({"signature_name": "stylize_bytes", "instances": [encoded]}).encode()

    def good(*size):
        return lambda: client.stylize(np.zeros((*size, 3), np.uint8), style)

    def work(seed):
        chance = random.Random(seed)
        while time.monotonic() < end:
            due, call = chance.choice(kinds)
            try:
                call()
                status = "OK"
            except ServerError as error:
                status = error.code
            with lock:
                counts[due, status] += 1
                if status not in (due, "UNAVAILABLE", "503"):
                    wrong.append((due, status))

    with (
        models_of(options) as (models, style),
        server_process(models) as (process, port, rest_port),
        StyleClient(f"127.0.0.1:{port}") as client,
    ):
        kinds = [
            *(("OK", good(*size)) for size in ((64, 64), (64, 64), (96, 48), (129, 33))),
            ("NOT_FOUND", raw(name="gone")),
            ("FAILED_PRECONDITION", raw(signature="gone")),
            ("INVALID_ARGUMENT", raw(key="gone")),
            ("INVALID_ARGUMENT", raw(value=[b"junk"])),
            ("INVALID_ARGUMENT", raw(value=[bomb])),
            ("INVALID_ARGUMENT", raw(value=[cut])),
            ("INVALID_ARGUMENT", raw(value=[moving.getvalue()])),
            ("INVALID_ARGUMENT", raw(value=[scans])),
            ("OK", rest(in_json(png(64, 64)))),
            ("OK", rest(gzip.compress(in_json(png(96, 48))), **{"Content-Encoding": "gzip"})),
            ("400", rest(in_json(moving.getvalue()))),
            ("400", rest(b'{"inputs": [' + b"[]," * 2_000_000 + b"[]]}")),
            ("400", rest(b"{")),
            ("429", rest(gzip.compress(bytes(10**8)), **{"Content-Encoding": "gzip"})),
            ("INVALID_ARGUMENT", raw(value=np.zeros((1, 8, 8, 3), np.float32))),
        ]
        threads = [threading.Thread(target=work, args=(i,)) for i in range(options.clients[0])]
        before = memory_mb(process)
        end = time.monotonic() + 60 * options.minutes
        for thread in threads:
            thread.start()
        samples = []
        while any(thread.is_alive() for thread in threads):
            time.sleep(min(5.0, 60 * options.minutes / 12))
            samples.append(memory_mb(process))
            print(f"{sum(counts.values()):>8} requests  {samples[-1]:>7.0f} MB", flush=True)
        alive = process.poll() is None
    for (due, status), count in sorted(counts.items()):
        print(f"{count:>8} answered {status}, due {due}")
    settled = samples[len(samples) // 3]
    last = samples[-1]
    print(f"memory: {before:.0f} MB at the start, {settled:.0f} settled, {last:.0f} at the end")
    return int(bool(wrong) or not alive or last > 1.2 * settled)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=("speed", "soak"))
    parser.add_argument("--models", type=Path)
    parser.add_argument("--style")
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512])
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--flags", default="")
    parser.add_argument("--minutes", type=float, default=10.0)
    options = parser.parse_args()
    if (options.models is None) != (options.style is None):
        parser.error("--models and --style go together")
    return {"speed": speed, "soak": soak}[options.what](options)


if __name__ == "__main__":
    raise SystemExit(main())
