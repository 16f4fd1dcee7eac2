import base64
import concurrent.futures
import contextlib
import http.client
import io
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import warnings

import grpc
import numpy as np
import pytest
import tensorflow as tf
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)
from PIL import Image
from prometheus_client.parser import text_string_to_metric_families
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_log_pb2,
    prediction_service_pb2_grpc,
)

from tfstyle.cli import main as cli
from tfstyle.serving.client import ServerError, StyleClient
from tfstyle.serving.config import ServeConfig
from tfstyle.serving.grpc_service import PredictionService
from tfstyle.serving.predictor import count_pixels
from tfstyle.serving.server import StyleServer

QUICK = ServeConfig(port=0, rest_port=0, poll_s=0.05, drain_s=10, max_megapixels=1)
State = get_model_status_pb2.ModelVersionStatus.State


@contextlib.contextmanager
def serving(models, **changes):
    with StyleServer(models, ServeConfig(**{**vars(QUICK), **changes})) as server:
        options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        with grpc.insecure_channel(f"127.0.0.1:{server.port}", options) as channel:
            server.channel = channel
            server.predict = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict
            yield server


@pytest.fixture
def models(saved_styles, tmp_path):
    """Folder of the model "wave", version 1."""
    shutil.copytree(saved_styles / "1", tmp_path / "models" / "wave" / "1")
    return tmp_path / "models"


@pytest.fixture(scope="module")
def shared(saved_styles, tmp_path_factory):
    """A server of "wave", versions 1 and 2 with labels, for tests that do not change it."""
    folder = tmp_path_factory.mktemp("shared")
    for number in "12":
        shutil.copytree(saved_styles / number, folder / "wave" / number)
    (folder / "models.config").write_text(
        'model_config_list { config { name: "wave" base_path: "wave" model_platform: "tensorflow" '
        "model_version_policy { all {} } "
        'version_labels { key: "stable" value: 1 } version_labels { key: "canary" value: 2 } } }'
    )
    with serving(folder / "models.config") as server:
        yield server


def make_request(name="wave", signature="", version=None, label=None, **inputs):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = name
    request.model_spec.signature_name = signature
    if version is not None:
        request.model_spec.version.value = version
    if label is not None:
        request.model_spec.version_label = label
    for key, value in inputs.items():
        request.inputs[key].CopyFrom(tf.make_tensor_proto(value))
    return request


def ones(*shape):
    return np.ones(shape, np.float32)


def zeros(*shape):
    return np.zeros(shape, np.float32)


def png(width=20, height=18, level=0):
    file = io.BytesIO()
    Image.new("RGB", (width, height), (level,) * 3).save(file, "PNG")
    return file.getvalue()


def http_call(server, method, path, body=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", server.rest_port, timeout=20)
    body = json.dumps(body) if isinstance(body, (dict, list)) else body
    connection.request(method, path, body, headers)
    response = connection.getresponse()
    content = response.read()
    connection.close()
    if response.getheader("Content-Type") == "application/json":
        content = json.loads(content)
    return response.status, content


def refusal(server, request, **options):
    with pytest.raises(grpc.RpcError) as error:
        server.predict(request, timeout=20, **options)
    return error.value.code().name, error.value.details()


def test_predict_paints_floats_and_files(shared):
    response = shared.predict(make_request(image=zeros(2, 17, 33, 3)))
    assert response.model_spec.name == "wave"
    assert response.model_spec.version.value == 2
    assert response.model_spec.signature_name == "serving_default"
    painted = tf.make_ndarray(response.outputs["stylized"])
    assert painted.shape == (2, 17, 33, 3)
    assert np.allclose(painted, 0.8)
    response = shared.predict(
        make_request(signature="stylize_bytes", image_bytes=[png(), png(30, 40, 255)])
    )
    contents = tf.make_ndarray(response.outputs["stylized_bytes"])
    images = [Image.open(io.BytesIO(content)) for content in contents]
    assert [image.size for image in images] == [(20, 18), (30, 40)]
    assert [image.getpixel((0, 0)) for image in images] == [(204,) * 3, (0,) * 3]


def test_predict_answers_with_outputs_of_every_kind(tmp_path):
    class Facts(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
        def tell(self, x):
            mean, doubles = tf.reduce_mean(x), tf.cast(x, tf.float64)
            return {"text": tf.constant("calm"), "mean": mean, "count": tf.size(x), "x": doubles}

    facts = Facts()
    tf.saved_model.save(facts, str(tmp_path / "facts" / "1"), {"serving_default": facts.tell})
    with serving(tmp_path) as server:
        outputs = server.predict(make_request("facts", x=np.float32([1, 2]))).outputs
    told = {name: tf.make_ndarray(value) for name, value in outputs.items()}
    assert (told["text"].item(), told["mean"], told["count"]) == (b"calm", 1.5, 2)
    assert [told[name].dtype for name in ("mean", "count", "x")] == ["float32", "int32", "float64"]
    assert told["x"].tolist() == [1, 2]


def test_client_and_command_paint(shared, tmp_path, capsys):
    Image.new("RGB", (40, 30)).save(tmp_path / "photo.png")
    for options in ([], ["--signature", "serving_default"], ["--label", "canary"]):
        arguments = [str(tmp_path / "photo.png"), "--style", "wave", "-o", str(tmp_path / "o.png")]
        server = ["--server", f"127.0.0.1:{shared.port}"]
        assert cli.main(["client", *arguments, *server, *options]) == 0
        assert Image.open(tmp_path / "o.png").getpixel((0, 0)) == (204, 204, 204)
    capsys.readouterr()


def test_client_takes_turns_among_addresses_and_sockets(models, tmp_path):
    photo = np.zeros((20, 30, 3), np.uint8)
    with serving(models, socket=tmp_path / "grpc.sock", rest_port=None) as server:
        for address in (f"dns:///localhost:{server.port}", f"unix:{tmp_path / 'grpc.sock'}"):
            with StyleClient(address) as client:
                assert client.stylize(photo, "wave").getpixel((0, 0)) == (230, 230, 230)


def test_numbers_come_one_by_one_unless_asked_otherwise(shared, models):
    request = make_request(image=zeros(1, 16, 16, 3))
    tensor = shared.predict(request).outputs["stylized"]
    assert (len(tensor.float_val), tensor.tensor_content) == (768, b"")
    with serving(models, tensor_content=True, rest_port=None) as server:
        tensor = server.predict(request).outputs["stylized"]
    assert (len(tensor.float_val), len(tensor.tensor_content)) == (0, 4 * 768)


def test_version_zero_is_a_version_as_any_other(shared, models, saved_styles):
    request = make_request(version=0, image=zeros(1, 16, 16, 3))
    assert refusal(shared, request) == (
        "NOT_FOUND",
        "Servable not found for request: Specific(wave, 0)",
    )
    assert http_call(shared, "GET", "/v1/models/wave/versions/0")[0] == 404
    shutil.copytree(saved_styles / "3", models / "wave" / "0")
    with serving(models, keep_versions=0) as server:
        response = server.predict(request)
        assert response.model_spec.version.value == 0
        assert tf.make_ndarray(response.outputs["stylized"]).max() == pytest.approx(0.7)
        assert server.predict(make_request(image=zeros(1, 16, 16, 3))).model_spec.version.value == 1
        assert http_call(server, "GET", "/v1/models/wave/versions/0")[0] == 200


def test_in_a_folder_stable_is_the_oldest_and_canary_the_newest(models, saved_styles):
    def version(label):
        request = make_request(label=label, image=zeros(1, 16, 16, 3))
        return server.predict(request).model_spec.version.value

    with serving(models, rest_port=None) as server:
        assert (version("stable"), version("canary")) == (1, 1)
        request = make_request(label="old", image=zeros(1, 16, 16, 3))
        assert refusal(server, request)[0] == "INVALID_ARGUMENT"
    for number in "23":
        shutil.copytree(saved_styles / number, models / "wave" / number)
    with serving(models, keep_versions=2) as server:
        assert (version("stable"), version("canary")) == (2, 3)
        assert http_call(server, "GET", "/v1/models/wave/labels/stable")[0] == 200


def test_versions_and_labels_choose(shared):
    def level(**choice):
        response = shared.predict(make_request(image=zeros(1, 16, 16, 3), **choice))
        return round(float(tf.make_ndarray(response.outputs["stylized"]).max()), 3)

    assert level() == level(version=2) == level(label="canary") == 0.8
    assert level(version=1) == level(label="stable") == 0.9


def test_output_filter_chooses_and_is_checked(shared):
    request = make_request(image=zeros(1, 16, 16, 3))
    request.output_filter.append("stylized")
    assert list(shared.predict(request).outputs) == ["stylized"]
    request.output_filter.append("stylized")
    assert refusal(shared, request) == (
        "INVALID_ARGUMENT",
        "duplicate output tensor alias: stylized",
    )
    request.output_filter[0] = "depth"
    assert refusal(shared, request) == (
        "INVALID_ARGUMENT",
        "output tensor alias not found in signature: depth Outputs expected to be in the set "
        "{stylized}.",
    )


BROKEN_JPEG = b"\xff\xd8\xff\xe0" + bytes(50)


@pytest.mark.parametrize(
    ("fields", "code", "text"),
    [
        ({"name": "gone"}, "NOT_FOUND", "Servable not found for request: Latest(gone)"),
        ({"name": ""}, "INVALID_ARGUMENT", "ModelSpec has no name specified."),
        ({"version": 7}, "NOT_FOUND", "Servable not found for request: Specific(wave, 7)"),
        ({"label": "old"}, "INVALID_ARGUMENT", "Unrecognized servable version label: old"),
        ({"name": "gone", "label": "old"}, "INVALID_ARGUMENT", "Unrecognized servable version lab"),
        (
            {"signature": "paint"},
            "FAILED_PRECONDITION",
            'Serving signature key "paint" not found.',
        ),
        (
            {},
            "INVALID_ARGUMENT",
            "input size does not match signature: 0!=1 len({}) != len({image}). Sent extra: {}. "
            "Missing but required: {image}.",
        ),
        (
            {"picture": ones(1, 16, 16, 3)},
            "INVALID_ARGUMENT",
            "input tensor alias not found in signature: picture. Inputs expected to be in the set "
            "{image}.",
        ),
        (
            {"image": np.ones((1, 16, 16, 3), np.uint8)},
            "INVALID_ARGUMENT",
            "Expects arg[0] to be float32 but uint8 is provided",
        ),
        (
            {"image": ones(16, 16, 3)},
            "INVALID_ARGUMENT",
            'input tensor "image" must have shape [?,?,?,3]. Received: [16,16,3]',
        ),
        ({"image": ones(1, 16, 16, 4)}, "INVALID_ARGUMENT", "Received: [1,16,16,4]"),
        ({"image": ones(1, 1200, 1000, 3)}, "INVALID_ARGUMENT", "at most 1000000 pixels"),
        (
            {"signature": "stylize_bytes", "image_bytes": [b"no picture"]},
            "INVALID_ARGUMENT",
            "Unknown image file format",
        ),
        (
            {"signature": "stylize_bytes", "image_bytes": [png()[:60]]},
            "INVALID_ARGUMENT",
            "PNG",
        ),
        (
            {"signature": "stylize_bytes", "image_bytes": [BROKEN_JPEG]},
            "INVALID_ARGUMENT",
            "",
        ),
        (
            {"signature": "stylize_bytes", "image_bytes": [png(5000, 5000)]},
            "INVALID_ARGUMENT",
            "at most 1000000 pixels",
        ),
        (
            {"signature": "stylize_bytes", "image_bytes": [png(20000, 10000)]},
            "INVALID_ARGUMENT",
            "",
        ),
    ],
)
def test_predict_refuses_as_tf_serving_does(shared, fields, code, text):
    got, details = refusal(shared, make_request(**fields))
    assert got == code
    assert text in details
    assert len(details) <= 1024
    shared.predict(make_request(image=zeros(1, 16, 16, 3)))  # it lives on


def test_predict_refuses_tensors_that_lie(shared):
    request = predict_pb2.PredictRequest()
    assert refusal(shared, request) == ("INVALID_ARGUMENT", "Missing ModelSpec")
    for shape, values in [
        ((1, 10**6, 10**6, 3), [0.5]),  # 12 TB, if one value were repeated
        ((-1, 16, 16, 3), [0.5]),
        ((2**62, 2**62, 2**62, 3), [0.5]),
        ((1, 16, 16, 3), [0.5] * 769),
    ]:
        request = make_request()
        tensor = request.inputs["image"]
        tensor.dtype = tf.float32.as_datatype_enum
        tensor.float_val.extend(values)
        for size in shape:
            tensor.tensor_shape.dim.add(size=size)
        assert refusal(shared, request)[0] == "INVALID_ARGUMENT"
    begun = time.monotonic()
    request = make_request(signature="stylize_bytes", image_bytes=[png()])
    request.inputs["image_bytes"].tensor_shape.dim[0].size = 300_000  # of which it has one
    assert refusal(shared, request) == ("INVALID_ARGUMENT", "tensor parsing error: image_bytes")
    assert time.monotonic() - begun < 2
    request = make_request()
    tensor = make_request(image=ones(1, 16, 16, 3)).inputs["image"]
    tensor.tensor_content = tensor.tensor_content[:-1]
    request.inputs["image"].CopyFrom(tensor)
    assert refusal(shared, request) == ("INVALID_ARGUMENT", "tensor parsing error: image")
    tensor.tensor_shape.unknown_rank = True
    request.inputs["image"].CopyFrom(tensor)
    assert refusal(shared, request)[0] == "INVALID_ARGUMENT"


def test_metadata_and_status(shared):
    stub = prediction_service_pb2_grpc.PredictionServiceStub(shared.channel)
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "wave"
    response = stub.GetModelMetadata(request)
    definitions = get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(definitions)
    assert response.model_spec.version.value == 2
    assert {"serving_default", "stylize_bytes"} <= set(definitions.signature_def)
    for fields, text in (
        ([], "must specify at least one metadata_field"),
        (["weights"], "Metadata field weights is not supported"),
    ):
        del request.metadata_field[:]
        request.metadata_field.extend(fields)
        with pytest.raises(grpc.RpcError, match=text):
            stub.GetModelMetadata(request)
    status = model_service_pb2_grpc.ModelServiceStub(shared.channel).GetModelStatus
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "wave"
    rows = status(request).model_version_status
    assert [(row.version, row.state) for row in rows] == [
        (2, State.AVAILABLE),
        (1, State.AVAILABLE),
    ]
    request.model_spec.version.value = 1
    assert [row.version for row in status(request).model_version_status] == [1]
    request.model_spec.version.value = 9
    with pytest.raises(grpc.RpcError, match="Could not find version 9 of model wave"):
        status(request)
    request.model_spec.ClearField("version")
    for name in ("gone", ""):
        request.model_spec.name = name
        with pytest.raises(grpc.RpcError, match=f"any versions of model {name}") as error:
            status(request)
        assert error.value.code() == grpc.StatusCode.NOT_FOUND


def test_other_services_are_refused_without_a_traceback(shared, caplog):
    stub = prediction_service_pb2_grpc.PredictionServiceStub(shared.channel)
    for call, request in (
        (stub.Classify, prediction_log_pb2.ClassifyLog().request),
        (stub.Regress, prediction_log_pb2.RegressLog().request),
        (stub.MultiInference, prediction_log_pb2.MultiInferenceLog().request),
    ):
        with pytest.raises(grpc.RpcError, match="Only Predict runs") as error:
            call(request)
        assert error.value.code() == grpc.StatusCode.UNIMPLEMENTED
    assert caplog.text == ""


def test_reflection_tells_services_and_their_methods(shared):
    known = ProtoReflectionDescriptorDatabase(shared.channel)
    assert {"tensorflow.serving.PredictionService", "grpc.health.v1.Health"} <= {
        *known.get_services()
    }
    (service,) = known.FindFileContainingSymbol("tensorflow.serving.ModelService").service
    assert {m.name for m in service.method} == {"GetModelStatus", "HandleReloadConfigRequest"}


def test_rest_predicts_in_rows_and_columns(shared):
    path = "/v1/models/wave:predict"
    image = np.zeros((17, 18, 3)).tolist()
    status, answer = http_call(shared, "POST", path, {"instances": [image, image]})
    assert status == 200
    assert np.allclose(answer["predictions"], np.full((2, 17, 18, 3), 0.8))
    status, answer = http_call(shared, "POST", path, {"instances": [{"image": image}]})
    assert np.shape(answer["predictions"]) == (1, 17, 18, 3)
    for inputs in ([image], {"image": [image]}):
        status, answer = http_call(shared, "POST", path, {"inputs": inputs})
        assert np.shape(answer["outputs"]) == (1, 17, 18, 3)
    for choice in ("/versions/1", "/labels/stable"):
        path = f"/v1/models/wave{choice}:predict"
        assert http_call(shared, "POST", path, {"inputs": [image]})[1]["outputs"][0][0][0][0] == (
            pytest.approx(0.9)
        )


def test_rest_wraps_bytes_in_base64(shared):
    encoded = {"b64": base64.b64encode(png()).decode()}
    for body, key in (
        ({"instances": [encoded]}, "predictions"),
        ({"instances": [{"image_bytes": encoded}]}, "predictions"),
        ({"inputs": {"image_bytes": [encoded]}}, "outputs"),
    ):
        body = {"signature_name": "stylize_bytes", **body}
        status, answer = http_call(shared, "POST", "/v1/models/wave:predict", body)
        assert status == 200
        painted = Image.open(io.BytesIO(base64.b64decode(answer[key][0]["b64"])))
        assert painted.getpixel((3, 3)) == (204, 204, 204)


def test_rest_tells_status_and_metadata(shared):
    assert http_call(shared, "GET", "/v1/models/wave/versions/1") == (
        200,
        {
            "model_version_status": [
                {
                    "version": "1",
                    "state": "AVAILABLE",
                    "status": {"error_code": "OK", "error_message": ""},
                }
            ]
        },
    )
    rows = http_call(shared, "GET", "/v1/models/wave")[1]["model_version_status"]
    assert [row["version"] for row in rows] == ["2", "1"]
    rows = http_call(shared, "GET", "/v1/models/wave/labels/canary")[1]["model_version_status"]
    assert [row["version"] for row in rows] == ["2"]
    _, answer = http_call(shared, "GET", "/v1/models/wave/versions/1/metadata")
    assert answer["model_spec"] == {"name": "wave", "signature_name": "", "version": "1"}
    inputs = answer["metadata"]["signature_def"]["signature_def"]["serving_default"]["inputs"]
    assert inputs["image"]["dtype"] == "DT_FLOAT"


PREDICT = "/v1/models/wave:predict"
NESTED = json.loads("[" * 70 + '""' + "]" * 70)


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "text"),
    [
        ("GET", "/", None, 404, "Not found: /"),
        ("GET", "/v1", None, 404, "Not found: /v1"),
        ("GET", "/ready/", None, 404, "Not found: /ready/"),
        ("GET", "/v1/model", None, 400, "Malformed request: GET /v1/model"),
        ("POST", "/v1/models/wave", "{}", 400, "Malformed request: POST /v1/models/wave"),
        ("POST", "/v1/models/wave:classify", "{}", 501, "classify is not implemented"),
        ("GET", "/v1/models/gone", None, 404, "Could not find any versions of model gone"),
        ("GET", "/v1/models/gone/metadata", None, 404, "Servable not found"),
        ("GET", f"/v1/models/wave/versions/{10**30}", None, 400, "Failed to convert version"),
        ("POST", "/v1/models/gone:predict", "{}", 404, "Servable not found"),
        ("POST", "/v1/models/wave/versions/9:predict", "{}", 404, "Specific(wave, 9)"),
        ("POST", PREDICT, "", 400, "JSON Parse error: The document is empty"),
        ("POST", PREDICT, "{", 400, "JSON Parse error"),
        ("POST", PREDICT, b"\xff\xfe{", 400, "JSON Parse error"),
        ("POST", PREDICT, "[" * 100_000, 400, "Is not object"),
        ("POST", PREDICT, '{"x": ' + "[" * 100_000, 400, "nested too deep"),
        ("POST", PREDICT, '{"inputs": ' + "[" * 100_000, 400, "nested too deep"),
        ("POST", PREDICT, '{"inputs": 0.5} {}', 400, "JSON Parse error"),
        ("POST", PREDICT, {"inputs": NESTED}, 400, "nested too deep"),
        (
            "POST",
            PREDICT,
            {"signature_name": "stylize_bytes", "inputs": NESTED},
            400,
            "nested too deep",
        ),
        ("POST", PREDICT, "[]", 400, "Is not object"),
        ("POST", PREDICT, {}, 400, "Missing 'inputs' or 'instances' key"),
        ("POST", PREDICT, {"signature_name": 1}, 400, "must be a string value"),
        ("POST", PREDICT, {"signature_name": "x", "inputs": []}, 400, '"x" not found in signature'),
        ("POST", PREDICT, {"inputs": [], "instances": [1]}, 400, "expecting only one of"),
        ("POST", PREDICT, {"instances": {}}, 400, "to be an list/array"),
        ("POST", PREDICT, {"instances": []}, 400, "No values in 'instances'"),
        ("POST", PREDICT, {"instances": [{"x": 1}]}, 400, "keys must be image"),
        ("POST", PREDICT, {"instances": [1, {"x": 1}]}, 400, "object is not of expected type"),
        ("POST", PREDICT, {"instances": [{"image": 1}, 2]}, 400, "got another value in"),
        ("POST", PREDICT, {"instances": [{"image": 1}, {"image": [1]}]}, 400, "unexpected size"),
        ("POST", PREDICT, {"inputs": None}, 400, "null is not of any expected type"),
        (
            "POST",
            PREDICT,
            {"inputs": {"x": 1}},
            400,
            "Missing named input: JSON object keys must be image",
        ),
        ("POST", PREDICT, {"inputs": [[[["a"]]]]}, 400, "is not of expected type: float32"),
        ("POST", PREDICT, {"inputs": [[[[True] * 3]]]}, 400, "is not of expected type: float32"),
        ("POST", PREDICT, {"inputs": [[1, 2], [3]]}, 400, "unexpected size: 1 at level: 1"),
        ("POST", PREDICT, {"inputs": [[1], 2]}, 400, "found at incorrect level"),
        ("POST", PREDICT, {"inputs": [1, [2]]}, 400, "unexpected level"),
        ("POST", PREDICT, '{"inputs": [[[[1e999, 0, 0]]]', 400, "JSON Parse error"),
        ("POST", PREDICT, {"inputs": [[[[10**60, 0, 0]]]]}, 400, "integer overflow"),
        ("POST", PREDICT, {"inputs": [[[[1e60, 0, 0]]]]}, 400, "Cannot convert JSON value"),
        ("POST", PREDICT, {"inputs": 0.5}, 400, "must have shape [?,?,?,3]. Received: []"),
        (
            "POST",
            PREDICT,
            {"signature_name": "stylize_bytes", "inputs": [{"b64": "?"}]},
            400,
            "Unable to base64 decode",
        ),
        (
            "POST",
            PREDICT,
            {"signature_name": "stylize_bytes", "inputs": ["text"]},
            400,
            "Unknown image file format",
        ),
    ],
)
def test_rest_refuses_as_tf_serving_does(shared, method, path, body, status, text):
    got, answer = http_call(shared, method, path, body)
    assert got == status
    assert text in answer["error"]


def test_rest_bodies_are_limited(models):
    with serving(models, max_message_mb=0.1) as server:
        status, answer = http_call(server, "POST", PREDICT, b" " * 200_000)
        assert (status, "larger than max (200000 vs. 104857)" in answer["error"]) == (429, True)
        code, details = refusal(server, make_request(image=zeros(1, 128, 128, 3)))
        assert (code, "larger than max" in details) == ("RESOURCE_EXHAUSTED", True)
        body = json.dumps({"inputs": zeros(1, 64, 64, 3).tolist()})
        assert len(body) < 104857  # but not what it is answered with, 0.8999999761581421 each
        status, answer = http_call(server, "POST", PREDICT, body)
        assert (status, "is larger than 104857" in answer["error"]) == (429, True)
        assert http_call(server, "GET", "/v1/models/wave")[0] == 200


def test_connections_are_kept_alive(shared):
    connection = http.client.HTTPConnection("127.0.0.1", shared.rest_port)
    for _ in range(2):
        connection.request("POST", PREDICT, json.dumps({"inputs": [[[[0, 0, 0]]]]}))
        assert connection.getresponse().read()
        assert connection.sock is not None
    connection.close()


def test_health_follows_the_models(models, saved_styles, wait_until):
    with serving(models) as server:
        check = health_pb2_grpc.HealthStub(server.channel).Check
        request = health_pb2.HealthCheckRequest()
        assert check(request).status == health_pb2.HealthCheckResponse.SERVING
        request.service = "tensorflow.serving.PredictionService"
        assert check(request).status == health_pb2.HealthCheckResponse.SERVING
        broken = models / "broken" / "1"
        broken.mkdir(parents=True)
        (broken / "saved_model.pb").write_bytes(b"junk")
        not_serving = health_pb2.HealthCheckResponse.NOT_SERVING
        wait_until(lambda: check(request).status == not_serving)
        assert http_call(server, "GET", "/ready") == (503, b"not ready\n")
        rows = http_call(server, "GET", "/v1/models/broken")[1]["model_version_status"]
        assert rows[0]["state"] in ("END", "LOADING")
        assert rows[0]["status"]["error_code"] != "OK"
        shutil.copytree(saved_styles / "3", models / "broken" / "2")  # mended
        wait_until(lambda: check(request).status == health_pb2.HealthCheckResponse.SERVING)
        assert server.predict(make_request("broken", image=zeros(1, 16, 16, 3)))
        assert http_call(server, "GET", "/ready") == (200, b"ready\n")
        for name in ("wave", "broken"):
            shutil.rmtree(models / name)
        wait_until(lambda: check(request).status == not_serving)  # nothing is not all well


def test_metrics_count_by_version_and_status(models, wait_until):
    with serving(models, workers=1) as server:
        server.predict(make_request(image=zeros(1, 16, 16, 3)))
        refusal(server, make_request("made up", image=zeros(1, 16, 16, 3)))
        http_call(server, "POST", PREDICT, {"inputs": [[[[0, 0, 0]]]]})
        slow = make_request(signature="slow", seconds=np.array([0.4]))
        running = server.predict.future(slow)
        wait_until(lambda: server.predictor.scheduler._running)
        waiting = server.predict.future(slow)
        wait_until(lambda: server.predictor.scheduler.depth())
        samples = scrape(server)
        assert running.result()
        assert waiting.result()
        again = scrape(server)
    prefix = ":tensorflow:serving:"
    served = {"model_name": "wave", "version": "1", "status": "OK"}
    for entrypoint in ("GRPC", "REST"):
        assert samples(f"{prefix}request_count", **served, entrypoint=entrypoint) == 1
    nobody = {"model_name": "", "version": "", "entrypoint": "GRPC", "status": "NOT_FOUND"}
    assert samples(f"{prefix}request_count", **nobody) == 1
    wave = {"model_name": "wave", "version": "1"}
    latency = {**wave, "entrypoint": "GRPC"}
    assert samples(f"{prefix}request_latency_count", **latency) == 1
    assert samples(f"{prefix}request_latency_bucket", **latency, le="+Inf") == 1
    assert samples(f"{prefix}batching_session:batch_size_count", **wave) == 2
    assert samples(f"{prefix}requests_in_flight", **wave) == 2
    assert samples(f"{prefix}batching_session:queue_depth") == 1
    assert again(f"{prefix}requests_in_flight", **wave) == 0
    assert again(f"{prefix}batching_session:queue_depth") == 0
    assert again(f"{prefix}request_count", **served, entrypoint="REST") == 1  # but two scrapes
    assert again("process_resident_memory_bytes") > 1e7
    assert "made up" not in str(again.families)


def scrape(server):
    """Return a function that looks a sample up on the page of metrics, as Prometheus reads it."""
    status, text = http_call(server, "GET", "/monitoring/prometheus/metrics")
    assert status == 200
    families = list(text_string_to_metric_families(text.decode()))
    samples = {(s.name, frozenset(s.labels.items())): s.value for f in families for s in f.samples}

    def look_up(name, **labels):
        return samples[name, frozenset(labels.items())]

    look_up.families = families
    return look_up


def test_concurrent_requests_run_in_batches(models):
    with serving(models, max_batch_size=4, batch_timeout_ms=500, workers=1) as server:
        batches = []
        server.predictor.scheduler._on_batch = lambda servable, rows: batches.append(rows)
        with concurrent.futures.ThreadPoolExecutor(12) as pool:
            levels = np.linspace(0, 0.8, 8, dtype=np.float32)
            calls = [
                pool.submit(server.predict, make_request(image=np.full((1, 16, 16, 3), level)))
                for level in levels
            ]
            painted = [tf.make_ndarray(call.result().outputs["stylized"]) for call in calls]
        for level, image in zip(levels, painted, strict=True):
            assert image.shape == (1, 16, 16, 3)
            assert np.allclose(image, np.clip(0.9 - level, 0, 1), atol=1e-6)
        assert batches == [4, 4]
        batches.clear()
        with concurrent.futures.ThreadPoolExecutor(6) as pool:  # sizes do not mix
            calls = [
                pool.submit(server.predict, make_request(image=zeros(1, 16, width, 3)))
                for width in (16, 32) * 3
            ]
            shapes = [tf.make_ndarray(call.result().outputs["stylized"]).shape for call in calls]
        assert shapes == [(1, 16, 16, 3), (1, 16, 32, 3)] * 3
        assert batches == [3, 3]


def test_a_bad_file_spoils_no_batch(models):
    def whole(content):
        request = make_request(signature="stylize_bytes", image_bytes=[content])
        try:
            return server.predict(request).model_spec.name
        except grpc.RpcError as error:
            return error.code().name

    cut = png()[:-30]  # its header is good
    with (
        serving(models, max_batch_size=4, batch_timeout_ms=300) as server,
        concurrent.futures.ThreadPoolExecutor(4) as pool,
    ):
        results = list(pool.map(whole, [png(), cut, png(), png()]))
    assert results == ["wave", "INVALID_ARGUMENT", "wave", "wave"]


def test_batching_can_be_off(models):
    with serving(models, max_batch_size=1, batch_timeout_ms=10_000) as server:
        begun = time.monotonic()
        server.predict(make_request(image=zeros(1, 16, 16, 3)))
        server.predict(make_request(image=zeros(3, 16, 16, 3)))
        assert time.monotonic() - begun < 5


def test_full_queue_turns_requests_away(models, wait_until):
    with serving(models, max_queue=1, workers=1, max_batch_size=1) as server:
        slow = make_request(signature="slow", seconds=np.array([0.5]))
        running = server.predict.future(slow)
        wait_until(lambda: server.predictor.scheduler._running)
        waiting = server.predict.future(slow)
        wait_until(lambda: server.predictor.scheduler._queue)
        assert refusal(server, slow) == (
            "UNAVAILABLE",
            "The batch scheduling queue to which this task was submitted is full",
        )
        assert running.result()
        assert waiting.result()


def _in_flight(server):
    text = server.predictor.metrics.text()
    return b'requests_in_flight{model_name="wave",version="1"} 1.0' in text


def test_deadlines_stop_the_model(models):
    with serving(models, request_timeout_s=0.5, workers=1) as server:
        endless = make_request(signature="slow", seconds=np.array([60.0]))
        begun = time.monotonic()
        with pytest.raises(grpc.RpcError, match="DEADLINE_EXCEEDED"):
            server.predict(endless, timeout=0.2)
        with pytest.raises(grpc.RpcError, match="DEADLINE_EXCEEDED"):
            server.predict(endless)
        body = {"signature_name": "slow", "inputs": [60.0]}
        assert http_call(server, "POST", PREDICT, body)[0] == 504  # the session's words, or ours
        assert server.predict(make_request(image=zeros(1, 16, 16, 3)))  # the worker is free again
        assert time.monotonic() - begun < 10


def test_a_client_that_goes_away_frees_the_queue(models, wait_until):
    with serving(models, workers=1, max_batch_size=1) as server:
        first = server.predict.future(make_request(signature="slow", seconds=np.array([0.5])))
        wait_until(lambda: _in_flight(server))
        second = server.predict.future(make_request(signature="slow", seconds=np.array([30.0])))
        wait_until(lambda: server.predictor.scheduler._queue)
        second.cancel()
        wait_until(lambda: not server.predictor.scheduler._queue)
        assert first.result()


def test_a_client_that_has_gone_before_is_not_served(shared):
    class Gone:
        def time_remaining(self):
            return 9

        def add_callback(self, callback):
            return False

        def abort(self, code, details):
            raise RuntimeError(code.name)

    service = PredictionService(shared.predictor)
    with pytest.raises(RuntimeError, match="CANCELLED"):
        service.Predict(make_request(signature="slow", seconds=np.array([30.0])), Gone())


def test_looking_at_pictures_leaves_the_warnings_as_they_are():
    contents = np.empty(200, object)
    contents[:] = [png()] * len(contents)
    with warnings.catch_warnings():
        filters = list(warnings.filters)
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: count_pixels({"image_bytes": contents}), range(24)))
        assert filters == warnings.filters


def test_five_versions_swap_under_load_without_a_lost_request(models, saved_styles, wait_until):
    with serving(models) as server:
        stop, seen, failures = threading.Event(), [], []

        def load():
            request = make_request(image=zeros(1, 24, 24, 3))
            while not stop.is_set():
                try:
                    response = server.predict(request)
                except grpc.RpcError as error:
                    failures.append(error)
                    return
                level = tf.make_ndarray(response.outputs["stylized"]).max()
                seen.append((response.model_spec.version.value, round(float(level), 3)))

        threads = [threading.Thread(target=load) for _ in range(4)]
        for thread in threads:
            thread.start()
        for number, style in ((2, "2"), (3, "3"), (4, "1"), (5, "2")):
            # Copied beside and renamed: what has no number for a name is no version yet.
            shutil.copytree(saved_styles / style, models / "wave" / f".{number}.part")
            (models / "wave" / f".{number}.part").rename(models / "wave" / str(number))
            wait_until(lambda number=number: server.store.available("wave") == {number})
            count = len(seen)
            wait_until(lambda count=count: len(seen) > count + 8)
        stop.set()
        for thread in threads:
            thread.join()
        assert not failures
        assert set(seen) == {(1, 0.9), (2, 0.8), (3, 0.7), (4, 0.9), (5, 0.8)}
        rows = http_call(server, "GET", "/v1/models/wave")[1]["model_version_status"]
        assert [row["state"] for row in rows] == ["AVAILABLE", *4 * ["END"]]


def test_an_old_version_finishes_before_it_unloads(models, saved_styles, wait_until):
    with serving(models) as server:
        slow = server.predict.future(make_request(signature="slow", seconds=np.array([1.0])))
        wait_until(lambda: _in_flight(server))
        shutil.copytree(saved_styles / "2", models / "wave" / "2")
        wait_until(lambda: server.store.available("wave") == {2})
        rows = http_call(server, "GET", "/v1/models/wave")[1]["model_version_status"]
        assert slow.result().model_spec.version.value == 1
        assert [row["state"] for row in rows] == ["AVAILABLE", "UNLOADING"]
        wait_until(lambda: server.store._versions["wave"][1].state == State.END)


def test_a_retired_version_still_answers_who_holds_it(models):
    with serving(models, rest_port=None) as server:
        spec = make_request().model_spec
        servable = server.store.acquire(spec)
        servable.retire()  # between finding the version and queueing the request
        feeds = {"image": zeros(1, 16, 16, 3)}
        signature = servable.signature("")
        outputs = server.predictor.predict(servable, signature, feeds, ("stylized",))
        assert outputs["stylized"].shape == (1, 16, 16, 3)
        assert servable.retain()
        servable.release()
        servable.release()
        assert not servable.retain()
        assert server.store._versions["wave"][1].state == State.END


def test_a_broken_version_leaves_the_old_one(models, wait_until):
    broken = models / "wave" / "2"
    broken.mkdir()
    with serving(models) as server:
        assert server.store.available("wave") == set()
        (models / "wave" / "notes").mkdir()
        (models / "wave" / "4.txt").touch()
        broken.rename(models / "wave" / ".gone")
        wait_until(lambda: server.store.available("wave") == {1})
        (models / "wave" / ".gone").rename(broken)
        wait_until(lambda: len(server.store._versions["wave"]) == 2)
        wait_until(lambda: server.store._versions["wave"][2].error)
        assert server.store.available("wave") == {1}
        assert server.predict(make_request(image=zeros(1, 16, 16, 3))).model_spec.version.value == 1


def test_keep_versions_serves_several(models, saved_styles):
    for number in "23":
        shutil.copytree(saved_styles / number, models / "wave" / number)
    with serving(models, keep_versions=2, rest_port=None) as server:
        assert server.store.available("wave") == {2, 3}
    with serving(models, keep_versions=0, rest_port=None) as server:
        assert server.store.available("wave") == {1, 2, 3}


def test_reload_replaces_the_configuration(models, saved_styles):
    shutil.copytree(saved_styles / "2", models / "wave" / "2")
    shutil.copytree(saved_styles / "3", models / "lake" / "3")
    with serving(models) as server:
        reload = model_service_pb2_grpc.ModelServiceStub(server.channel).HandleReloadConfigRequest
        request = model_management_pb2.ReloadConfigRequest()

        def refused():
            with pytest.raises(grpc.RpcError) as error:
                reload(request)
            return error.value.code().name, error.value.details()

        assert refused()[0] == "INVALID_ARGUMENT"
        model = request.config.model_config_list.config.add()
        model.name, model.base_path = "wave", str(models / "wave")
        model.model_version_policy.specific.versions.extend([1, 2])
        model.version_labels["old"] = 1
        assert reload(request).status.error_code == 0
        assert server.store.available("wave") == {1, 2}
        refusal(server, make_request("lake", image=zeros(1, 16, 16, 3)))
        answer = server.predict(make_request(label="old", image=zeros(1, 16, 16, 3)))
        assert answer.model_spec.version.value == 1
        model.version_labels["new"] = 9
        code, details = refused()
        assert (code, "assign label to version 9" in details) == ("FAILED_PRECONDITION", True)
        del model.version_labels["new"]
        model.base_path = "/etc"
        assert refused()[0] == "PERMISSION_DENIED"
        model.base_path = ""
        assert refused()[0] == "INVALID_ARGUMENT"
        assert server.store.available("wave") == {1, 2}


def test_a_reload_without_models_must_be_asked_for_twice(models, saved_styles, wait_until):
    shutil.copytree(saved_styles / "3", models / "lake" / "3")
    with serving(models) as server:
        reload = model_service_pb2_grpc.ModelServiceStub(server.channel).HandleReloadConfigRequest
        request = model_management_pb2.ReloadConfigRequest()
        request.config.model_config_list.SetInParent()
        with pytest.raises(grpc.RpcError, match="send it again within 60 s") as error:
            reload(request)
        assert error.value.code() == grpc.StatusCode.FAILED_PRECONDITION
        assert server.store.available("wave") == {1}
        reload(request)
        wait_until(lambda: not server.store.available("wave"))
        assert http_call(server, "GET", "/ready")[0] == 503
        shutil.copytree(saved_styles / "2", models / "new" / "2")  # the folder is watched on
        wait_until(lambda: server.store.available("new") == {2})
        assert not server.store.available("wave")
        model = request.config.model_config_list.config.add()
        model.name, model.base_path = "lake", str(models / "lake")
        reload(request)
        wait_until(lambda: server.store.available("lake") == {3})
        wait_until(lambda: not server.store.available("new"))
        shutil.copytree(saved_styles / "1", models / "newer" / "1")
        wait_until(lambda: server.store.available("newer") == {1})
        assert server.store.names() == ("newer", "lake")


def test_warm_up_requests_run_and_may_fail_the_load(models):
    extra = models / "wave" / "1" / "assets.extra"
    extra.mkdir()

    def versions(request):
        entry = prediction_log_pb2.PredictionLog()
        entry.predict_log.request.CopyFrom(request)
        with tf.io.TFRecordWriter(str(extra / "tf_serving_warmup_requests")) as writer:
            writer.write(entry.SerializeToString())
        with serving(models, rest_port=None, request_timeout_s=0.5) as server:
            return server.store.available("wave")

    assert versions(make_request(image=zeros(1, 16, 16, 3))) == {1}
    assert versions(make_request(signature="gone", image=zeros(1, 16, 16, 3))) == set()
    assert versions(make_request(signature="slow", seconds=np.array([60.0]))) == {1}


def start_command(models, *flags):
    command = [sys.executable, "-c", "from tfstyle.cli.main import main; raise SystemExit(main())"]
    process = subprocess.Popen(
        [*command, "serve", str(models), "--port", "0", "--rest-port", "0", *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    line = process.stdout.readline()
    assert line.startswith("serving wave: gRPC on port "), process.communicate()
    ports = [int(word.rstrip(",")) for word in line.split() if word.rstrip(",").isdigit()]
    return process, *ports


def in_flight(server):
    return scrape(server)(":tensorflow:serving:requests_in_flight", model_name="wave", version="1")


def refuses(predict):
    try:
        predict(make_request(image=zeros(1, 16, 16, 3)))
    except grpc.RpcError as error:
        return error.code() == grpc.StatusCode.UNAVAILABLE
    return False


@pytest.mark.slow
def test_sigterm_drains(models, wait_until):
    process, port, rest_port = start_command(models)
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            predict = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict
            predict(make_request(image=zeros(1, 16, 16, 3)))
            slow = make_request(signature="slow", seconds=np.array([1.0]))
            with concurrent.futures.ThreadPoolExecutor() as pool:
                body = {"signature_name": "slow", "inputs": [1.5]}
                server = type("Server", (), {"rest_port": rest_port})
                over_rest = pool.submit(http_call, server, "POST", PREDICT, body)
                over_grpc = predict.future(slow)
                wait_until(lambda: in_flight(server) == 2)
                process.send_signal(signal.SIGTERM)
                wait_until(lambda: refuses(predict))
                assert tf.make_ndarray(over_grpc.result().outputs["seconds"]) == [1.0]
                assert over_rest.result() == (200, {"outputs": [1.5]})
        assert process.wait(20) == 0
        log = process.stderr.read()
        assert "draining" in log
        assert "deprecated" not in log
    finally:
        process.kill()
        process.communicate()


def test_stop_breaks_off_what_takes_longer_than_the_drain(models, wait_until):
    with serving(models, drain_s=0.2) as server:
        endless = server.predict.future(make_request(signature="slow", seconds=np.array([60.0])))
        wait_until(lambda: server.predictor.scheduler._running)
        begun = time.monotonic()
        server.stop()
        assert time.monotonic() - begun < 8
        assert endless.code() == grpc.StatusCode.UNAVAILABLE
        wait_until(lambda: not server.predictor.scheduler._running, 5)
        assert server.store._versions["wave"][1].state == State.END


@pytest.mark.slow
def test_a_command_ends_within_its_drain_though_a_model_runs_on(models):
    process, port, _ = start_command(models, "--drain-s", "0.5", "--request-timeout-s", "100")
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            predict = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict
            predict(make_request(image=zeros(1, 16, 16, 3)))
            endless = predict.future(make_request(signature="slow", seconds=np.array([60.0])))
            predict(make_request(image=zeros(1, 16, 16, 3)))  # came after it
            process.send_signal(signal.SIGTERM)
            assert process.wait(15) == 0
            assert endless.code() == grpc.StatusCode.UNAVAILABLE
    finally:
        process.kill()
        process.communicate()


def test_stop_ends_what_was_never_started(models):
    server = StyleServer(models, QUICK)
    server.stop()
    assert server.store._versions["wave"][1].state == State.END
    with socket.socket() as free:
        free.bind(("127.0.0.1", server.rest_port))


@pytest.fixture
def pems(tmp_path):
    """Dict of a key and its certificate, for localhost."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl to make a certificate with")
    files = {"ssl_key": tmp_path / "key.pem", "ssl_cert": tmp_path / "cert.pem"}
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext"
    arguments = ["subjectAltName=DNS:localhost", "-keyout", files["ssl_key"]]
    arguments += ["-out", files["ssl_cert"]]
    subprocess.run([*command.split(), *map(str, arguments)], check=True, capture_output=True)
    return files


def https_status(server, pems, own=False):
    context = ssl.create_default_context(cafile=str(pems["ssl_cert"]))
    if own:
        context.load_cert_chain(pems["ssl_cert"], pems["ssl_key"])
    connection = http.client.HTTPSConnection("localhost", server.rest_port, context=context)
    try:
        connection.request("GET", "/v1/models/wave")
        return connection.getresponse().status
    finally:
        connection.close()


def test_tls(models, pems):
    photo = np.zeros((20, 30, 3), np.uint8)
    with serving(models, **pems) as server:
        address = f"localhost:{server.port}"
        with StyleClient(address, ssl_root=pems["ssl_cert"], token="secret") as client:
            assert client.stylize(photo, "wave").getpixel((0, 0)) == (230, 230, 230)
        with StyleClient(address, retries=0, timeout_s=5) as client, pytest.raises(ServerError):
            client.stylize(photo, "wave")
        with socket.create_connection(("localhost", server.rest_port)):  # says nothing
            assert https_status(server, pems) == 200


def test_clients_show_a_certificate_where_one_is_asked_for(models, pems, tmp_path):
    photo = np.zeros((20, 30, 3), np.uint8)
    with serving(models, **pems, ssl_client_ca=pems["ssl_cert"]) as server:
        address, root = f"localhost:{server.port}", {"ssl_root": pems["ssl_cert"]}
        with StyleClient(address, **root, ssl_pair=tuple(pems.values())) as client:
            assert client.stylize(photo, "wave").size == (30, 20)
        flags = ["--ssl-root", pems["ssl_cert"], "--ssl-pair", *pems.values()]
        Image.new("RGB", (40, 30)).save(tmp_path / "photo.png")
        files = [tmp_path / "photo.png", "-o", tmp_path / "out.png", "--style", "wave"]
        arguments = ["client", *files, "--server", address, *flags]
        assert cli.main([str(argument) for argument in arguments]) == 0
        with (
            StyleClient(address, **root, retries=0, timeout_s=5) as client,
            pytest.raises(ServerError, match="UNAVAILABLE"),
        ):
            client.stylize(photo, "wave")
        assert https_status(server, pems, own=True) == 200
        with pytest.raises(OSError, match=r"(?i)certificate|closed|reset"):
            https_status(server, pems)


def test_tokens_are_checked(models, tmp_path, pems):
    (tmp_path / "tokens").write_text("first\nsecond\n")
    photo = np.zeros((20, 30, 3), np.uint8)
    with serving(models, token_file=tmp_path / "tokens") as server:
        request = make_request(image=zeros(1, 16, 16, 3))
        for header in (
            None,
            "Bearer third",
            "Bearer ",
            "Basic first",
            "Bearer firs",
            "Bearer \xe9",
        ):
            sent = {} if header is None else {"authorization": header}
            if header is None or header.isascii():  # gRPC sends nothing else
                code, details = refusal(server, request, metadata=list(sent.items()))
                assert (code, details) == ("UNAUTHENTICATED", "Send authorization: Bearer TOKEN")
            for path in ("/v1/models/wave", "/monitoring/prometheus/metrics"):
                assert http_call(server, "GET", path, **sent)[0] == 401
        assert server.predict(request, metadata=[("authorization", "Bearer second")])
        assert http_call(server, "GET", "/v1/models/wave", authorization="bearer first")[0] == 200
        with pytest.raises(grpc.RpcError, match="Bearer TOKEN"):
            ProtoReflectionDescriptorDatabase(server.channel).get_services()
        assert http_call(server, "GET", "/ready")[0] == 200  # probes have none
        check = health_pb2_grpc.HealthStub(server.channel).Check
        assert check(health_pb2.HealthCheckRequest()).status == 1
    with serving(models, token_file=tmp_path / "tokens", **pems, rest_port=None) as server:
        for token, code in (("first", None), ("wrong", "UNAUTHENTICATED")):
            options = {"ssl_root": pems["ssl_cert"], "token": token, "retries": 0}
            with StyleClient(f"localhost:{server.port}", **options) as client:
                if code is None:
                    assert client.stylize(photo, "wave").size == (30, 20)
                    continue
                with pytest.raises(ServerError, match=code):
                    client.stylize(photo, "wave")


def test_pages_of_given_origins_may_ask(models, shared):
    ours, theirs = "https://styles.example", "https://other.example"
    preflight = {"Access-Control-Request-Method": "POST"}

    def allowed(server, origin, method="OPTIONS"):
        connection = http.client.HTTPConnection("127.0.0.1", server.rest_port)
        connection.request(method, "/v1/models/wave", headers={"Origin": origin, **preflight})
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer.getheader("Access-Control-Allow-Origin")

    with serving(models, cors_origins=(ours,)) as server:
        assert allowed(server, ours) == allowed(server, ours, "GET") == ours
        assert allowed(server, theirs) is None
    assert allowed(shared, ours) is allowed(shared, ours, "GET") is None


def test_a_client_of_rest_that_goes_away_frees_the_queue(models, wait_until):
    with serving(models, workers=1, max_batch_size=1) as server:
        running = server.predict.future(make_request(signature="slow", seconds=np.array([0.5])))
        wait_until(lambda: _in_flight(server))
        body = json.dumps({"signature_name": "slow", "inputs": [30.0]}).encode()
        head = f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        with socket.create_connection(("127.0.0.1", server.rest_port)) as raw:
            raw.sendall(head.encode() + body)
            wait_until(lambda: server.predictor.scheduler.depth())
        wait_until(lambda: not server.predictor.scheduler.depth())
        assert running.result()


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"port": -1}, "`port` must be from 0 to 65535"),
        ({"rest_port": 70000}, "`rest_port` must be from 0 to 65535"),
        ({"max_batch_size": 0}, "`max_batch_size` must be from 1 to"),
        ({"workers": 0}, "`workers` must be from 1 to"),
        ({"poll_s": 0}, "`poll_s` must be from 0.001 to"),
        ({"max_megapixels": float("nan")}, "`max_megapixels` must be from"),
        ({"max_message_mb": 4000}, "`max_message_mb` must be from 0.001 to 2047"),
        ({"request_timeout_s": float("inf")}, "`request_timeout_s` must be from 0.001 to 1e"),
        ({"batch_timeout_ms": float("inf")}, "`batch_timeout_ms` must be from 0 to 1e"),
        ({"idle_s": 0}, "`idle_s` must be from 0.001 to"),
        ({"ssl_key": "key.pem"}, "`ssl_key` and `ssl_cert` must be given together"),
        ({"ssl_client_ca": "ca.pem"}, "`ssl_client_ca` must come with `ssl_key`"),
    ],
)
def test_config_refuses(settings, text):
    with pytest.raises(ValueError, match=text):
        ServeConfig(**settings)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model_config_list {", "must be a models.config"),
        ('model_config_list { config { name: "a" } }', "must have a base_path"),
        (
            'model_config_list { config { name: "a" base_path: "a" '
            'version_labels { key: "a-b" value: 1 } } }',
            "A label must be letters, digits and _. Received: 'a-b'",
        ),
        ("", "must hold folders NAME/VERSION"),
    ],
)
def test_models_config_is_checked(tmp_path, text, message):
    (tmp_path / "models.config").write_text(text)
    with pytest.raises(ValueError, match=message):
        StyleServer(tmp_path / "models.config", QUICK)


def test_server_refuses_before_it_loads_models(tmp_path, models, monkeypatch):
    with pytest.raises(FileNotFoundError, match="`models` must be a folder"):
        StyleServer(tmp_path / "gone", QUICK)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="Export a style there first"):
        StyleServer(tmp_path / "empty", QUICK)
    monkeypatch.setattr("tfstyle.serving.models.Servable", lambda *a, **k: pytest.fail("loaded"))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="`port` must be free"):
            StyleServer(models, ServeConfig(**{**vars(QUICK), "port": port}))
        with pytest.raises(OSError, match="`rest_port` must be free"):
            StyleServer(models, ServeConfig(**{**vars(QUICK), "rest_port": port}))
    (tmp_path / "key.pem").write_text("no key")
    files = {"ssl_key": tmp_path / "key.pem", "ssl_cert": tmp_path / "key.pem"}
    with pytest.raises(ValueError, match="must be a key and its certificate in PEM"):
        StyleServer(models, ServeConfig(**{**vars(QUICK), **files}))
    (tmp_path / "tokens").write_text("\n")
    with pytest.raises(ValueError, match="`token_file` must hold a token a line"):
        StyleServer(models, ServeConfig(**{**vars(QUICK), "token_file": tmp_path / "tokens"}))


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["gone"], "`models` must exist. Received: 'gone'."),
        ([".", "--workers", "0"], "`workers` must be from 1 to"),
        (["."], "Export a style there first"),
    ],
)
def test_command_refuses_bad_input(arguments, text, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    try:
        code = cli.main(["serve", *arguments])
    except SystemExit as stop:
        code = stop.code
    assert code == 2
    assert text in " ".join(capsys.readouterr().err.replace("│", " ").split())
