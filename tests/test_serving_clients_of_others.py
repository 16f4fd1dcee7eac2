"""Clients that others wrote are answered: they know TF Serving, and nothing of this server."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tfstyle.serving.config import ServeConfig
from tfstyle.serving.server import StyleServer

CLIENTS = Path(sys.prefix) / "clients"  # where `make test` installs those that fit nowhere else


@pytest.fixture(scope="module")
def server(saved_styles, tmp_path_factory):
    folder = tmp_path_factory.mktemp("others")
    for number in "12":
        shutil.copytree(saved_styles / number, folder / "wave" / number)
    with StyleServer(folder, ServeConfig(port=0, rest_port=0, keep_versions=2)) as server:
        yield server


OVMS = """
import json, sys, numpy as np, ovmsclient
told = {}
for kind, port in zip(("grpc", "http"), sys.argv[1:]):
    client = getattr(ovmsclient, f"make_{kind}_client")(f"127.0.0.1:{port}")
    inputs = {"image": np.zeros((1, 16, 20, 3), np.float32)}
    painted = np.asarray(client.predict(inputs, "wave", model_version=1))
    try:
        client.predict(inputs, "wave")
        default = "answered"
    except ovmsclient.tfs_compat.base.errors.ModelNotFoundError as error:
        default = str(error)
    about = client.get_model_metadata("wave", model_version=2)
    if kind == "http":  # of TF Serving's answer it gives the JSON
        about = about["metadata"]["signature_def"]["signature_def"]["serving_default"]
    told[kind] = {
        "shape": painted.shape,
        "level": float(painted.max()),
        "status": client.get_model_status("wave", model_version=2)[2]["state"],
        "inputs": about["inputs"],
        "default": default,
    }
print(json.dumps(told))
"""


def test_ovmsclient(server):
    if importlib.util.find_spec("ovmsclient") is None:
        pytest.skip("ovmsclient is not installed: pip install ovmsclient")
    done = subprocess.run(
        [sys.executable, "-c", OVMS, str(server.port), str(server.rest_port)],
        env=os.environ | {"PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": "python"},  # its stubs are old
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    for kind, told in json.loads(done.stdout).items():
        assert told["shape"] == [1, 16, 20, 3]
        assert told["level"] == pytest.approx(0.9)
        assert told["status"] == "AVAILABLE"
        assert told["inputs"]["image"]["dtype"] == "DT_FLOAT"
        if kind == "grpc":  # it sends version 0 by default: to TF Serving a number as any other
            assert "Specific(wave, 0)" in told["default"]


def test_min_tfs_client(server, monkeypatch):
    if not (CLIENTS / "min_tfs_client").is_dir():
        pytest.skip(
            "min-tfs-client ships a `tensorflow` of its own: `make test` installs it aside, with "
            f"pip install --no-deps --target {CLIENTS} min-tfs-client"
        )
    monkeypatch.setattr(sys, "path", [*sys.path, str(CLIENTS)])
    from min_tfs_client.requests import TensorServingClient
    from min_tfs_client.tensors import tensor_proto_to_ndarray

    client = TensorServingClient("127.0.0.1", server.port)
    image = np.zeros((1, 16, 20, 3), np.float32)
    response = client.predict_request("wave", {"image": image}, model_version=1)
    painted = tensor_proto_to_ndarray(response.outputs["stylized"])  # reads `float_val` alone
    assert painted.shape == (1, 16, 20, 3)
    assert np.allclose(painted, 0.9)


def test_curl(server, tmp_path):
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    body = tmp_path / "body.json"
    body.write_text(json.dumps({"instances": np.zeros((2, 16, 20, 3)).tolist()}))
    address = f"http://127.0.0.1:{server.rest_port}"
    predict = [f"{address}/v1/models/wave:predict", "--data-binary", f"@{body}"]
    for flags in ([], ["-H", "Transfer-Encoding: chunked"], ["--http1.0"], ["-H", "Expect:"]):
        done = subprocess.run(["curl", "-sf", *flags, *predict], capture_output=True, check=True)
        assert np.allclose(json.loads(done.stdout)["predictions"], 0.8)
    for path, expected in (("/ready", 0), ("/v1/models/gone", 22)):
        assert subprocess.run(["curl", "-sfo/dev/null", address + path]).returncode == expected
