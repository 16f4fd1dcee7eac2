"""Whatever comes in, the server answers with a proper status and lives on."""

import base64
import http.client
import io
import json
import random
import shutil
import socket

import grpc
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from tensorflow_serving.apis import predict_pb2

from tfstyle.serving.config import ServeConfig
from tfstyle.serving.server import StyleServer
from tfstyle.serving.status import CODES
from tfstyle.serving.wire import PREDICT

# What a request may be refused with; INTERNAL and UNKNOWN would be bugs.
REFUSALS = {"INVALID_ARGUMENT", "NOT_FOUND", "FAILED_PRECONDITION", "RESOURCE_EXHAUSTED"}
HTTP_REFUSALS = {400, 404, 405, 429, 501, 505, 414, 431}
TIMEOUT_S = 20


@pytest.fixture(scope="module")
def server(saved_styles, tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz")
    shutil.copytree(saved_styles / "1", folder / "wave" / "1")
    limits = {"max_megapixels": 0.05, "max_message_mb": 1, "request_timeout_s": 10}
    with (
        StyleServer(folder, ServeConfig(port=0, rest_port=0, **limits)) as server,
        grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel,
    ):
        server.call = channel.unary_unary(PREDICT)  # bytes in, bytes out
        yield server
        assert server.call(good_request().SerializeToString(), timeout=TIMEOUT_S)


@pytest.fixture
def examples(request):
    """Decorator that bounds the examples: few by default, many with --slow."""
    count = 1000 if request.config.getoption("--slow") else 25
    return settings(
        max_examples=count,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        derandomize=not request.config.getoption("--slow"),
    )


def picture(kind="PNG"):
    file = io.BytesIO()
    Image.effect_noise((24, 20), 50).convert("RGB").save(file, kind)
    return file.getvalue()


def good_request(signature="stylize_bytes"):
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = "wave", signature
    if signature == "stylize_bytes":
        request.inputs["image_bytes"].CopyFrom(tf.make_tensor_proto([picture()]))
    else:
        pixels = np.zeros((1, 16, 16, 3), np.float32)
        request.inputs["image"].CopyFrom(tf.make_tensor_proto(pixels))
    return request


def check_call(server, content):
    """Send bytes as a Predict request; the answer must be one, or a refusal."""
    try:
        predict_pb2.PredictResponse.FromString(server.call(content, timeout=TIMEOUT_S))
    except grpc.RpcError as error:
        code, details = error.code().name, error.details()
        assert code in CODES
        broken_message = code == "INTERNAL" and "deserializ" in details.lower()  # gRPC's own word
        assert code in REFUSALS or broken_message, (code, details)


def check_http(server, method, path, body, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", server.rest_port, timeout=TIMEOUT_S)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        content = response.read()
    finally:
        connection.close()
    assert response.status == 200 or response.status in HTTP_REFUSALS, (response.status, content)
    if response.status != 200 and content[:1] == b"{":
        assert set(json.loads(content)) == {"error"}


dimensions = st.one_of(
    st.integers(0, 40), st.integers(-3, 5), st.integers(-(2**63), 2**63 - 1), st.just(3)
)


@st.composite
def tensors(draw):
    """Tensor messages, most of them nonsense."""
    tensor = predict_pb2.PredictRequest().inputs["x"]
    tensor.dtype = draw(st.one_of(st.sampled_from([1, 7, 4, 3, 19]), st.integers(0, 200)))
    tensor.tensor_shape.unknown_rank = draw(st.integers(0, 9)) == 0
    for size in draw(st.one_of(st.lists(dimensions, max_size=6), st.just([1, 16, 16, 3]))):
        tensor.tensor_shape.dim.add(size=size)
    tensor.version_number = draw(st.sampled_from([0, 0, 0, 1, -5]))
    tensor.tensor_content = draw(st.one_of(st.just(b""), st.binary(max_size=3100)))
    tensor.float_val.extend(draw(st.lists(st.floats(width=32), max_size=4)))
    tensor.string_val.extend(draw(st.lists(st.binary(max_size=60), max_size=3)))
    tensor.int_val.extend(draw(st.lists(st.integers(-(2**31), 2**31 - 1), max_size=2)))
    return tensor


@st.composite
def requests(draw):
    request = predict_pb2.PredictRequest()
    spec = request.model_spec
    names = st.sampled_from(["wave", "wave", "wave", "", "gone"])
    spec.name = draw(st.one_of(names, st.text(max_size=9)))
    signatures = st.sampled_from(["", "serving_default", "stylize_bytes", "__saved_model_init_op"])
    spec.signature_name = draw(st.one_of(signatures, st.text(max_size=9)))
    choice = draw(st.integers(0, 4))
    if choice == 0:
        spec.version.value = draw(st.integers(-(2**63), 2**63 - 1))
    elif choice == 1:
        spec.version_label = draw(st.text(max_size=9))
    for name in draw(st.lists(st.sampled_from(["image", "image_bytes", "x", ""]), max_size=2)):
        request.inputs[name].CopyFrom(draw(tensors()))
    request.output_filter.extend(
        draw(st.lists(st.sampled_from(["stylized", "stylized_bytes", "x"]), max_size=2))
    )
    return request


def test_predict_survives_any_request(server, examples):
    @examples
    @given(requests())
    def check(request):
        check_call(server, request.SerializeToString())

    check()


def test_predict_survives_any_tensor(server, examples):
    @examples
    @given(tensors(), st.sampled_from(["image", "image_bytes"]))
    def check(tensor, name):
        request = predict_pb2.PredictRequest()
        request.model_spec.name = "wave"
        request.model_spec.signature_name = {"image": "", "image_bytes": "stylize_bytes"}[name]
        request.inputs[name].CopyFrom(tensor)
        check_call(server, request.SerializeToString())

    check()


def test_predict_survives_any_bytes(server, examples):
    whole = good_request("serving_default").SerializeToString()

    @examples
    @given(st.binary(max_size=200), st.integers(0, len(whole)), st.integers(0, len(whole)))
    def check(junk, begin, end):
        check_call(server, junk)
        check_call(server, whole[:begin] + junk[:8] + whole[end:])

    check()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "WEBP"])
def test_predict_survives_damaged_files(server, examples, kind):
    whole = picture(kind)

    @examples
    @given(st.integers(0, 2**32))
    def check(seed):
        chance = random.Random(seed)
        content = bytearray(whole)
        for _ in range(chance.choice([1, 2, 5, 20])):
            content[chance.randrange(len(content))] = chance.randrange(256)
        if chance.random() < 0.3:
            del content[chance.randrange(len(content)) :]
        request = good_request()
        request.inputs["image_bytes"].string_val[0] = bytes(content)
        check_call(server, request.SerializeToString())
        if seed % 4 == 0:
            encoded = {"b64": base64.b64encode(bytes(content)).decode()}
            body = {"signature_name": "stylize_bytes", "instances": [encoded]}
            check_http(server, "POST", "/v1/models/wave:predict", json.dumps(body))

    check()


json_values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=5),
        st.just({"b64": "iVBORw0="}),
        st.integers(10**300, 10**301),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["image", "b64", "x", "image_bytes"]), inner, max_size=2),
    ),
    max_leaves=12,
)


def test_rest_survives_any_json(server, examples):
    keys = st.sampled_from(["inputs", "instances", "signature_name", "x"])
    bodies = st.one_of(json_values, st.dictionaries(keys, json_values, max_size=3))
    signatures = st.sampled_from([None, "stylize_bytes", "serving_default", "slow"])

    @examples
    @given(bodies, signatures)
    def check(body, signature):
        if signature == "slow":  # `seconds` may be huge
            body = {"instances": body}
            signature = "stylize_bytes"
        if isinstance(body, dict) and signature:
            body = {**body, "signature_name": signature}
        check_http(server, "POST", "/v1/models/wave:predict", json.dumps(body))

    check()


def test_rest_survives_any_path_and_body(server, examples):
    parts = st.sampled_from(
        ["/v1", "/models", "/wave", ":predict", "/versions", "/1", "/labels", "/metadata", "/%00"]
    )
    paths = st.one_of(
        st.lists(parts, max_size=7).map("".join),
        st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=30),
    )

    @examples
    @given(st.sampled_from(["GET", "POST", "PUT", "HEAD", "G"]), paths, st.binary(max_size=50))
    def check(method, path, body):
        check_http(server, method, f"/{path.lstrip('/')}", body)

    check()


PIECES = (
    b"POST /v1/models/wave:predict HTTP/1.1\r\n",
    b"GET /v1/models/wave HTTP/1.1\r\n",
    b"Content-Length: 5\r\n",
    b"Content-Length: 99999999999999999999\r\n",
    b"Content-Length: -1\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Expect: 100-continue\r\n",
    b"\r\n",
    b"A: " + b"x" * 70_000 + b"\r\n",
    b"A: b\r\n" * 200,
)


def test_rest_survives_any_stream(server, examples):
    @examples
    @given(st.lists(st.one_of(st.binary(max_size=60), st.integers(0, len(PIECES) - 1)), max_size=6))
    def check(stream):
        content = b"".join(PIECES[piece] if isinstance(piece, int) else piece for piece in stream)
        answer = b""
        with socket.create_connection(("127.0.0.1", server.rest_port), TIMEOUT_S) as connection:
            try:
                connection.sendall(content)
                connection.shutdown(socket.SHUT_WR)  # the server hears that no more comes
                while chunk := connection.recv(65536):
                    answer += chunk
            except TimeoutError:
                pytest.fail("the server hangs")
            except OSError:  # it may hang up on nonsense
                return
        assert b" 500 " not in answer.split(b"\r\n")[0]

    check()
    check_http(server, "GET", "/v1/models/wave", None)
