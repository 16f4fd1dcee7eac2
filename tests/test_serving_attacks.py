"""What attackers of HTTP servers and decoders send: it is answered in time, and harms no other."""

import base64
import contextlib
import gzip
import io
import json
import re
import shutil
import socket
import struct
import threading
import time
import zlib
from types import SimpleNamespace

import grpc
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from tfstyle.serving import json_tensors, rest
from tfstyle.serving.batching import Task
from tfstyle.serving.config import ServeConfig
from tfstyle.serving.server import StyleServer
from tfstyle.serving.status import StatusError

PREDICT = "/v1/models/wave:predict"
GOOD = json.dumps({"inputs": np.zeros((1, 16, 16, 3)).tolist()}).encode()
MESSAGE = 200_000  # most bytes of a request


@contextlib.contextmanager
def serving(saved_styles, folder, **changes):
    shutil.copytree(saved_styles / "1", folder / "wave" / "1")
    limits = {"max_message_mb": MESSAGE / 2**20, "idle_s": 0.5, "max_megapixels": 0.05}
    settings = {"port": 0, "rest_port": 0, "request_timeout_s": 10, **limits, **changes}
    with StyleServer(folder, ServeConfig(**settings)) as server:
        yield server


@pytest.fixture(scope="module")
def server(saved_styles, tmp_path_factory):
    with serving(saved_styles, tmp_path_factory.mktemp("attacks")) as server:
        yield server


@pytest.fixture(autouse=True)
def unharmed(server):
    """After every attack the server answers another client."""
    yield
    assert talk(server, post(GOOD))[0] == 200


def connect(server):
    return socket.create_connection(("127.0.0.1", server.rest_port), 20)


def post(body, *headers, path=PREDICT, length=True):
    """Return a request as it goes over the wire, after which the connection closes."""
    lines = [f"POST {path} HTTP/1.1", "Host: x", "Connection: close", *headers]
    lines += [f"Content-Length: {len(body)}"] if length else []
    return "\r\n".join([*lines, "", ""]).encode() + body


def talk(server, *parts):
    """Send parts one after the other; return status and body of the only answer."""
    with connect(server) as connection:
        for part in parts:
            connection.sendall(part)
        return read_answer(connection)


def read_answer(connection):
    """Read one answer up to its length, or to the end of the connection, and no byte more."""
    head = body = b""
    while not head.endswith(b"\r\n\r\n") and (part := connection.recv(1)):
        head += part
    left = int(re.search(rb"content-length: (\d+)", head, re.I)[1]) if b"ength" in head else 10**9
    while left and (part := connection.recv(min(left, 65536))):
        body, left = body + part, left - len(part)
    return int(head.split()[1]), body


def chunked(*parts):
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


# The body


def test_a_chunked_body_is_read(server):
    body = chunked(GOOD[:9], GOOD[9:5000], GOOD[5000:])
    request = post(body, "Transfer-Encoding: chunked", length=False)
    status, answer = talk(server, request[:60], request[60:300], request[300:])
    assert (status, b"outputs" in answer) == (200, True)


def test_a_chunked_body_without_end_is_cut_off(server):
    with connect(server) as connection:
        connection.sendall(post(b"", "Transfer-Encoding: chunked", length=False))
        with contextlib.suppress(OSError):
            for _ in range(40):
                connection.sendall(b"%x\r\n%b\r\n" % (10_000, b" " * 10_000))
        status, answer = read_answer(connection)
    assert (status, b"larger than max" in answer) == (429, True)


def test_a_gzip_body_is_unpacked(server):
    status, answer = talk(server, post(gzip.compress(GOOD, mtime=0), "Content-Encoding: gzip"))
    assert (status, b"outputs" in answer) == (200, True)


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        (gzip.compress(b" " * 50_000_000, mtime=0), 429, b"larger than max"),  # 50 kB
        (gzip.compress(GOOD, mtime=0)[:-9], 400, b"ends too early"),
        (b"no gzip", 400, b"Broken gzip"),
        (b"", 400, b"ends too early"),
    ],
)
def test_a_gzip_bomb_or_broken_gzip_is_refused(server, body, status, text):
    got, answer = talk(server, post(body, "Content-Encoding: gzip"))
    assert (got, text in answer) == (status, True)


def test_other_encodings_are_refused(server):
    assert talk(server, post(GOOD, "Content-Encoding: br"))[0] == 501


@pytest.mark.parametrize(
    "headers",
    [
        ("Content-Length: 5", "Content-Length: 6"),
        ("Content-Length: -5",),
        ("Content-Length: ٥",),
        ("Content-Length: 5, 6",),
        ("Content-Length: 0x10",),
        ("Content-Length: 99999999999999999999999",),
        ("Content-Length : 5",),
        ("Transfer-Encoding: chunked", "Transfer-Encoding: identity"),
        ("A: " + "x" * 17_000,),
    ],
)
def test_a_request_that_can_be_read_in_two_ways_is_refused(server, headers):
    """Or a proxy and the server would disagree on where the next request begins."""
    follow = b"POST /v1/models/gone:predict HTTP/1.1\r\nHost: x\r\n\r\n"
    status, answer = talk(server, post(follow, *headers, length=False))
    assert status in (400, 429, 501)
    assert b"gone" not in answer


def test_what_follows_a_request_is_the_next(server):
    with connect(server) as connection:
        good = post(GOOD).replace(b"Connection: close\r\n", b"")
        connection.sendall(good + good)
        assert [read_answer(connection)[0], read_answer(connection)[0]] == [200, 200]


# Paths


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/models/w%61ve:predict", 200),
        ("/v1/models/wave%3Apredict", 200),
        ("/v1/models/w%2561ve:predict", 404),  # decoded once
        ("/v1/models/..%2f..%2fetc:predict", 400),
        ("/v1/models/wave%00:predict", 404),
        ("/v1/models/wave/versions/%D9%A1:predict", 400),  # an Arabic 1
        ("/v1/models/wave/versions/1:predict", 200),
        ("/v1/models/wave/versions/00001:predict", 200),
        (f"/v1/models/wave/versions/{'9' * 5000}:predict", 400),
        ("/v1/models/%FF:predict", 404),
        ("//v1/models/wave:predict", 404),
    ],
)
def test_paths_are_decoded_once_and_digits_are_ascii(server, path, status):
    assert talk(server, post(GOOD, path=path))[0] == status


def test_a_method_that_there_is_not_is_refused(server):
    with connect(server) as connection:
        connection.sendall(b"DELETE /v1/models/wave HTTP/1.1\r\nHost: x\r\n\r\n")
        assert read_answer(connection)[0] == 405


# Slow ones, and many


def test_headers_that_trickle_in_are_not_waited_for(server):
    for before in (b"", post(GOOD).replace(b"Connection: close\r\n", b"")):
        with connect(server) as connection:
            if before:
                connection.sendall(before)
                assert read_answer(connection)[0] == 200
            begun = time.monotonic()
            with contextlib.suppress(OSError):
                for byte in b"GET /v1/models/wave HTTP/1.1\r\nA: " + b"x" * 1000:
                    connection.sendall(bytes([byte]))
                    connection.settimeout(0.02)
                    with contextlib.suppress(TimeoutError):
                        if connection.recv(1) == b"":
                            break
            assert time.monotonic() - begun < 5


def test_a_body_that_trickles_in_is_waited_for_as_long_as_a_request(
    saved_styles, tmp_path, wait_until
):
    with serving(saved_styles, tmp_path, request_timeout_s=0.5) as server:
        with connect(server) as connection:
            connection.sendall(post(b" " * 1000)[:-999])
            assert read_answer(connection)[0] == 504
        assert talk(server, post(GOOD))[0] == 200


def test_few_large_bodies_are_held_at_once(server, monkeypatch, wait_until):
    monkeypatch.setattr(rest, "MAX_BODIES", 1.5)
    most = post(b" " * MESSAGE)[: -MESSAGE // 10]
    with connect(server) as one, connect(server) as other:
        one.sendall(most)
        wait_until(lambda: server._rest._api.held > MESSAGE // 2)
        other.sendall(most)
        status, answer = read_answer(other)
        assert (status, b"too many large requests" in answer) == (503, True)
        one.sendall(b" " * (MESSAGE // 10))
        assert read_answer(one)[0] == 400  # was held, and read: spaces alone are no document


def test_idle_connections_keep_nobody_out_and_are_closed(server, wait_until):
    with contextlib.ExitStack() as stack:
        idle = [stack.enter_context(connect(server)) for _ in range(256)]
        assert talk(server, post(GOOD))[0] == 200
        for connection in idle:
            assert connection.recv(1) == b""  # after `idle_s`


def test_a_slow_reader_gets_its_answer_whole(server):
    body = json.dumps({"inputs": np.zeros((1, 40, 40, 3)).tolist()}).encode()
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", server.rest_port))
        connection.settimeout(20)
        connection.sendall(post(body))
        head, content = b"", b""
        while b"\r\n\r\n" not in head:
            head += connection.recv(100)
        length = int(re.search(rb"content-length: (\d+)", head)[1])
        content = head.partition(b"\r\n\r\n")[2]
        resting = threading.Event()
        while len(content) < length:
            resting.wait(0.01)
            part = connection.recv(2048)
            assert part, f"cut after {len(content)} of {length} bytes"
            content += part
    assert np.allclose(json.loads(content)["outputs"], 0.9)


@pytest.mark.slow
def test_who_reads_nothing_is_cut_off(saved_styles, tmp_path, wait_until):
    body = json.dumps({"inputs": np.zeros((1, 400, 400, 3), int).tolist()}).encode()
    limits = {"max_message_mb": 16, "max_megapixels": 1}
    with (
        serving(saved_styles, tmp_path, **limits) as server,
        socket.socket() as connection,
    ):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", server.rest_port))
        connection.sendall(post(body))
        connections = server._rest._server.server_state.connections
        wait_until(lambda: connections)
        wait_until(lambda: not connections)


# JSON


class Models:
    """What `read_request` asks of a servable."""

    def signature(self, name):
        raise StatusError("NOT_FOUND", "never asked")


@pytest.mark.parametrize(
    "body",
    [
        b'{"inputs": [' + b"[]," * 1_000_000 + b"[]]}",
        b'{"inputs": [' + b"0," * 1_000_000 + b"0]}",
        b'{"instances": [' + b"{}," * 1_000_000 + b"{}]}",
        b'{"inputs": {' + b",".join(b'"%d":0' % i for i in range(300_000)) + b"}}",
        b'{"inputs": [' + b'"",' * 1_000_000 + b'""]}',
        b'{"x": [' + b"[]," * 1_000_000 + b"[]]}",
        b'{"inputs": ' + b"[" * 3_000_000,
    ],
)
@pytest.mark.slow
def test_json_takes_memory_for_no_more_values_than_may_be(body):
    import tracemalloc

    file = io.BytesIO(body)
    tracemalloc.start()
    with pytest.raises(StatusError):
        json_tensors.read_request(file, Models(), max_elements=10_000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4_000_000


@pytest.mark.slow
def test_numbers_take_eight_bytes():
    import tracemalloc

    tracemalloc.start()
    values = json_tensors._Reader(
        io.BytesIO(b'{"inputs": [' + b"[0,1,2.5]," * 100_000 + b"[0,1,2]]}"), 10**6
    ).document()["inputs"]
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert values.shape == [100_001, 3]
    assert kept < 12 * 300_003  # lists and floats of Python took 120 bytes a row and more


# Files


def cut():
    file = io.BytesIO()
    Image.effect_noise((32, 32), 50).save(file, "PNG")
    return {"b64": base64.b64encode(file.getvalue()[:-60]).decode()}


CUT = cut()  # refused by the model, for its header is whole


def webp(mode):
    random = np.random.default_rng(0)
    frames = [
        Image.fromarray(random.integers(0, 256, (80, 96, 4), np.uint8), "RGBA").convert(mode)
        for _ in range(2)
    ]
    file = io.BytesIO()
    frames[0].save(file, "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    return file.getvalue()


def scans():
    file = io.BytesIO()
    Image.effect_noise((64, 64), 50).save(file, "JPEG", progressive=True)
    data = file.getvalue()
    return data[:-2] + 5000 * (b"\xff\xda\x00\x08\x01\x01\x00\x01\x3f\x00" + b"\x7f") + data[-2:]


def chunks():
    chunk = struct.pack(">I", 0) + b"teXt" + struct.pack(">I", zlib.crc32(b"teXt"))
    return b"\x89PNG\r\n\x1a\n" + 10_000 * chunk


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (webp("RGB"), "must not be animated"),
        (webp("RGBA"), "must not be animated"),
        (scans(), "at most 100 scans"),
        (b"\xff\xd8" + 30_000 * b"\xff\xe0\x00\x02", "at most 1000 segments"),
        (chunks(), "at most 1000 chunks"),
    ],
)
def test_a_file_that_costs_more_than_its_pixels_never_comes_to_the_queue(
    server, data, text, monkeypatch
):
    monkeypatch.setattr(server.predictor.scheduler, "run", lambda task: pytest.fail("queued"))
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = "wave", "stylize_bytes"
    request.inputs["image_bytes"].CopyFrom(tf.make_tensor_proto([data]))
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        predict = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict
        with pytest.raises(grpc.RpcError, match=text) as error:
            predict(request, timeout=20)
    assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    encoded = {"b64": base64.b64encode(data).decode()}
    body = json.dumps({"signature_name": "stylize_bytes", "instances": [encoded]}).encode()
    status, answer = talk(server, post(body))
    assert (status, text in answer.decode()) == (400, True)
    monkeypatch.undo()


def test_a_refused_request_is_forgotten_at_once(server, monkeypatch):
    """Not when the garbage collector comes: it counts objects, and knows nothing of their size."""
    import gc

    def tracked():
        return sum(isinstance(each, (BodyOfRequest, Task)) for each in gc.get_objects())

    class BodyOfRequest(io.BytesIO):
        """Of a Python class, so that it can be counted."""

    monkeypatch.setattr(rest, "io", SimpleNamespace(BytesIO=BodyOfRequest))

    request = predict_pb2.PredictRequest()
    request.model_spec.name = "wave"
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        predict = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict

        def refused():
            bodies = (
                (b"{", ()),
                (b"no gzip", ("Content-Encoding: gzip",)),
                (gzip.compress(bytes(10**6), mtime=0), ("Content-Encoding: gzip",)),
                (json.dumps({"inputs": [[0]]}).encode(), ()),
                (json.dumps({"signature_name": "stylize_bytes", "inputs": [CUT]}).encode(), ()),
            )
            for body, headers in bodies:
                assert talk(server, post(body, *headers))[0] in (400, 429)
            with pytest.raises(grpc.RpcError):
                predict(request, timeout=20)

        refused()
        gc.collect()
        gc.disable()
        try:
            before = tracked()
            for _ in range(10):
                refused()
            assert tracked() <= before + 5  # of some that are just being let go
        finally:
            gc.enable()
