import concurrent.futures
import io
import os
import struct
import subprocess
import sys
import threading
import time
import zlib

import grpc
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageCms
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from tfstyle.cli import main as cli
from tfstyle.serving import client as client_module
from tfstyle.serving import wire
from tfstyle.serving.client import ServerError, StyleClient


class Servicer(prediction_service_pb2_grpc.PredictionServiceServicer):
    """TF Serving in a few lines: inverts colors, and fails as it is told to."""

    def __init__(self):
        self.failures, self.requests, self.metadata = [], [], []
        self.as_content, self.delay_s, self.reply = True, 0.0, None
        self.lock, self.running, self.most_running = threading.Lock(), 0, 0

    def Predict(self, request, context):
        with self.lock:
            self.requests.append(request)
            self.metadata.append(dict(context.invocation_metadata()))
            failure = self.failures.pop(0) if self.failures else None
            self.running += 1
            self.most_running = max(self.most_running, self.running)
        if self.delay_s:
            time.sleep(self.delay_s)
        with self.lock:
            self.running -= 1
        if failure:
            context.abort(failure, "as told")
        response = predict_pb2.PredictResponse()
        if self.reply is not None:
            response.outputs["stylized_bytes"].CopyFrom(tf.make_tensor_proto([self.reply]))
        elif request.model_spec.signature_name == "stylize_bytes":
            (content,) = tf.make_ndarray(request.inputs["image_bytes"])
            pixels = 255 - np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
            file = io.BytesIO()
            Image.fromarray(pixels).save(file, "PNG")
            response.outputs["stylized_bytes"].CopyFrom(tf.make_tensor_proto([file.getvalue()]))
        else:
            pixels = 1 - tf.make_ndarray(request.inputs["image"])
            if self.as_content:
                response.outputs["stylized"].CopyFrom(tf.make_tensor_proto(pixels))
            else:  # TF Serving's default
                tensor = response.outputs["stylized"]
                tensor.dtype = tf.float32.as_datatype_enum
                tensor.float_val.extend(pixels.ravel())
                for size in pixels.shape:
                    tensor.tensor_shape.dim.add(size=size)
        return response


@pytest.fixture
def servicer():
    return Servicer()


@pytest.fixture
def address(servicer):
    server = grpc.server(
        concurrent.futures.ThreadPoolExecutor(8),
        options=[("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)],
    )
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(0).wait()


@pytest.fixture
def photo():
    return Image.effect_noise((40, 24), 60).convert("RGB")


def inverted(image):
    return 255 - np.asarray(image)


def test_messages_on_the_wire_are_those_of_the_stubs():
    ours = wire.PredictRequest(output_filter=["stylized"])
    ours.model_spec.name, ours.model_spec.signature_name = "wave", "stylize_bytes"
    ours.model_spec.version.value = 3
    pixels = np.arange(12, dtype=np.float32).reshape(1, 2, 2, 3)
    wire.write_tensor(ours.inputs["image"], pixels)
    wire.write_tensor(ours.inputs["image_bytes"], [b"one", b"two"])
    theirs = predict_pb2.PredictRequest.FromString(ours.SerializeToString())
    assert theirs.model_spec.name == "wave"
    assert theirs.model_spec.signature_name == "stylize_bytes"
    assert theirs.model_spec.version.value == 3
    assert list(theirs.output_filter) == ["stylized"]
    assert np.array_equal(tf.make_ndarray(theirs.inputs["image"]), pixels)
    assert list(tf.make_ndarray(theirs.inputs["image_bytes"])) == [b"one", b"two"]
    labelled = wire.PredictRequest()
    labelled.model_spec.version_label = "stable"
    theirs = predict_pb2.PredictRequest.FromString(labelled.SerializeToString())
    assert theirs.model_spec.WhichOneof("version_choice") == "version_label"


def test_read_tensor_refuses_what_is_no_picture():
    tensor = wire.PredictResponse().outputs["x"]
    tensor.dtype = 3
    with pytest.raises(ValueError, match=r"must hold floats \(1\) or strings \(7\)"):
        wire.read_tensor(tensor)
    wire.write_tensor(tensor, np.zeros((2, 2), np.float32))
    tensor.tensor_content = tensor.tensor_content[:-4]
    with pytest.raises(ValueError, match="reshape"):
        wire.read_tensor(tensor)


@pytest.mark.parametrize("signature", client_module.SIGNATURES)
@pytest.mark.parametrize("kind", ["path", "bytes", "image", "array"])
def test_stylize_takes_every_kind_of_picture(address, photo, tmp_path, signature, kind):
    photo.save(tmp_path / "photo.png")
    picture = {
        "path": tmp_path / "photo.png",
        "bytes": (tmp_path / "photo.png").read_bytes(),
        "image": photo,
        "array": np.asarray(photo),
    }[kind]
    with StyleClient(address, signature=signature) as client:
        painted = client.stylize(picture, style="wave")
    assert painted.mode == "RGB"
    assert np.array_equal(np.asarray(painted), inverted(photo))


def test_floats_may_come_one_by_one(address, servicer, photo):
    servicer.as_content = False
    with StyleClient(address, signature="serving_default") as client:
        assert np.array_equal(np.asarray(client.stylize(photo, "wave")), inverted(photo))


def test_stylize_turns_upright_and_puts_alpha_back(address, servicer, photo):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees
    file = io.BytesIO()
    photo.save(file, "PNG", exif=exif)
    with StyleClient(address) as client:
        painted = client.stylize(file.getvalue(), "wave")
        assert painted.size == (24, 40)
        sent = tf.make_ndarray(servicer.requests[0].inputs["image_bytes"])[0]
        assert Image.open(io.BytesIO(sent)).getexif().get(0x0112) is None
        photo.putalpha(Image.linear_gradient("L").resize(photo.size))
        painted = client.stylize(photo, "wave")
        assert painted.mode == "RGBA"
        assert np.array_equal(np.asarray(painted)[..., 3], np.asarray(photo)[..., 3])
        small = client.stylize(photo, "wave", size=20)
        assert (small.size, small.mode) == ((20, 12), "RGBA")


def test_only_a_jpeg_that_needs_nothing_is_sent_as_it_is(address, servicer, photo, tmp_path):
    exif, turned = Image.Exif(), Image.Exif()
    exif[0x010F], turned[0x0112] = "maker", 6
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()

    def sent(size=None, kind="JPEG", image=photo, **options):
        image.save(tmp_path / "photo", kind, **options)
        client.stylize(tmp_path / "photo", "wave", size=size)
        content = tf.make_ndarray(servicer.requests[-1].inputs["image_bytes"])[0]
        return content == (tmp_path / "photo").read_bytes(), Image.open(io.BytesIO(content)).format

    with StyleClient(address) as client:
        assert sent() == sent(exif=exif) == sent(size=40) == (True, "JPEG")
        assert sent(image=photo.convert("L")) == (True, "JPEG")
        for changed in ({"exif": turned}, {"icc_profile": srgb}, {"size": 30}, {"kind": "PNG"}):
            assert sent(**changed) == (False, "PNG")
        assert sent(image=photo.convert("CMYK")) == (False, "PNG")
        with pytest.raises(ValueError, match="must be whole"):
            client.stylize((tmp_path / "photo").read_bytes()[:-200], "wave")


def test_stylize_asks_for_version_or_label(address, servicer, photo):
    with StyleClient(address) as client:
        client.stylize(photo, "wave", version=2)
        client.stylize(photo, "wave", label="stable")
        with pytest.raises(ValueError, match="`version` or `label`, not both"):
            client.stylize(photo, "wave", version=2, label="stable")
        with pytest.raises(ValueError, match="`size` must be at least 1"):
            client.stylize(photo, "wave", size=0)
    specs = [request.model_spec for request in servicer.requests]
    assert (specs[0].version.value, specs[1].version_label) == (2, "stable")


def test_stylize_sends_style_weights(address, servicer, photo):
    with StyleClient(address) as client:
        client.stylize(photo, "wave", style_weights=[0.25, 0.75])
        sent = tf.make_ndarray(servicer.requests[0].inputs["style_weights"])
        assert sent.tolist() == [[0.25, 0.75]]
        with pytest.raises(ValueError, match="`style_weights` must be a list of numbers"):
            client.stylize(photo, "wave", style_weights=0.5)


@pytest.mark.parametrize("signature", ["stylize_bytes", "serving_default"])
def test_stylize_sends_a_painting_no_larger_than_it_is_looked_at(
    address, servicer, photo, signature
):
    painting = Image.effect_noise((1024, 600), 80).convert("RGB")
    with StyleClient(address, signature=signature) as client:
        client.stylize(photo, "any", painting=painting)
    inputs = servicer.requests[-1].inputs
    if signature == "stylize_bytes":
        (file,) = tf.make_ndarray(inputs["painting_bytes"])
        assert Image.open(io.BytesIO(file)).size == (512, 300)
    else:
        assert tf.make_ndarray(inputs["painting"]).shape == (1, 300, 512, 3)


def test_command_takes_a_painting_for_a_style(address, servicer, photo, tmp_path, capsys):
    painting = tmp_path / "night.png"
    Image.effect_noise((40, 30), 80).convert("RGB").save(painting)
    Image.effect_noise((40, 30), 80).convert("RGB").save(tmp_path / "cat.png")
    command = ["client", str(tmp_path / "cat.png"), "--server", address, "--style"]
    assert cli.main([*command, str(painting), "-o", str(tmp_path / "out.png")]) == 0
    request = servicer.requests[-1]
    assert request.model_spec.name == "any"
    assert set(request.inputs) == {"image_bytes", "painting_bytes"}
    assert cli.main([*command, str(painting), "-o", str(painting)]) == 2
    assert cli.main([*command, str(tmp_path / "gone.png"), "-o", str(tmp_path / "b.png")]) == 2
    assert "gone.png" in capsys.readouterr().err


def test_messages_over_four_megabytes_pass(address):
    pixels = np.random.default_rng(0).integers(0, 256, (700, 700, 3), np.uint8)
    with StyleClient(address, signature="serving_default") as client:  # 5.9 MB each way
        assert np.array_equal(np.asarray(client.stylize(pixels, "wave")), 255 - pixels)


def test_unavailable_alone_is_tried_again(address, servicer, photo, monkeypatch):
    waits = []
    monkeypatch.setattr(client_module.time, "sleep", waits.append)
    servicer.failures = [grpc.StatusCode.UNAVAILABLE] * 3
    with StyleClient(address, retries=3) as client:
        client.stylize(photo, "wave")
        assert len(waits) == 3
        assert all(0.05 * 2**i <= wait <= 0.1 * 2**i for i, wait in enumerate(waits))
        servicer.failures = [grpc.StatusCode.UNAVAILABLE] * 4
        with pytest.raises(ServerError, match="UNAVAILABLE: as told"):
            client.stylize(photo, "wave")
        assert len(servicer.requests) == 8
        for code in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.RESOURCE_EXHAUSTED):
            servicer.failures = [code]
            with pytest.raises(ServerError) as refusal:
                client.stylize(photo, "wave")
            assert (refusal.value.code, refusal.value.message) == (code.name, "as told")
    assert len(servicer.requests) == 10


def test_deadline_ends_the_wait(address, servicer, photo):
    servicer.delay_s = 1.0
    begun = time.monotonic()
    with (
        StyleClient(address, timeout_s=0.2) as client,
        pytest.raises(ServerError, match="DEADLINE_EXCEEDED"),
    ):
        client.stylize(photo, "wave")
    assert time.monotonic() - begun < 0.9


def test_no_server_is_an_error_in_time(photo):
    with (
        StyleClient("127.0.0.1:1", timeout_s=1.0, retries=1) as client,
        pytest.raises(ServerError, match=r"UNAVAILABLE: nothing listens at 127\.0\.0\.1:1\. Start"),
    ):
        client.stylize(photo, "wave")


def png_of(width, height, chunk):
    """A PNG that says it is of a size, with a chunk of a name."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = (header, chunk + b"data", b"IDAT" + zlib.compress(bytes(9)))
    chunks = (struct.pack(">I", len(p) - 4) + p + struct.pack(">I", zlib.crc32(p)) for p in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"no picture",
        b"\x89PNG\r\n\x1a\n",
        png_of(14000, 14000, b"teXt"),  # more than Pillow opens
        png_of(16, 16, b"\x00\x01\x02\x03"),  # no name of a chunk
    ],
)
def test_a_broken_answer_is_an_error(address, servicer, photo, reply):
    servicer.reply = reply
    with StyleClient(address) as client, pytest.raises(ServerError, match="the answer is no pict"):
        client.stylize(photo, "wave")


FILM = """
import concurrent.futures, sys, threading
from tfstyle.serving.client import StyleClient
from tfstyle.serving.wire import PredictRequest, PredictResponse
import grpc, imageio_ffmpeg, numpy as np

class Echo(grpc.GenericRpcHandler):
    def service(self, details):
        return grpc.unary_unary_rpc_method_handler(
            answer, PredictRequest.FromString, PredictResponse.SerializeToString
        )

def answer(request, context):
    response = PredictResponse()
    response.outputs["stylized_bytes"].CopyFrom(request.inputs["image_bytes"])
    return response

def load():
    while not over.is_set():
        client.stylize(frame, "wave")

server = grpc.server(concurrent.futures.ThreadPoolExecutor(4))
server.add_generic_rpc_handlers((Echo(),))
client = StyleClient(f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}")
server.start()
frame, film, over = np.zeros((32, 32, 3), np.uint8), sys.argv[1], threading.Event()
loads = [threading.Thread(target=load) for _ in range(2)]
for thread in loads:
    thread.start()
try:
    for _ in range(8):  # FFmpeg runs twice each time
        writer = imageio_ffmpeg.write_frames(film, (32, 32), ffmpeg_log_level="error")
        writer.send(None)
        for _ in range(3):
            writer.send(np.asarray(client.stylize(frame, "wave")))
        writer.close()
        reader = imageio_ffmpeg.read_frames(film)
        next(reader)
        assert len(list(reader)) == 3
finally:
    over.set()
    for thread in loads:
        thread.join()
    client.close()
    server.stop(None).wait()
"""


@pytest.mark.slow
def test_a_process_with_client_and_server_makes_films(tmp_path):
    pytest.importorskip("imageio_ffmpeg")
    environment = {k: v for k, v in os.environ.items() if k != "GRPC_ENABLE_FORK_SUPPORT"}
    command = [sys.executable, "-c", FILM, tmp_path / "film.mp4"]
    with open(tmp_path / "stderr", "w") as stderr:  # a pipe would stay open in FFmpeg's hands
        done = subprocess.run(command, env=environment, stderr=stderr, timeout=120)
    said = (tmp_path / "stderr").read_text()
    assert done.returncode == 0, said
    for word in ("fork", "epoll"):  # gRPC's complaints
        assert word not in said


def test_stylize_many_keeps_order_and_bounds(address, servicer):
    servicer.delay_s = 0.02
    taken = 0

    def pictures():
        nonlocal taken
        for i in range(20):
            taken += 1
            yield np.full((16, 16, 3), i, np.uint8)

    with StyleClient(address) as client:
        results = client.stylize_many(pictures(), "wave", workers=3)
        first = next(results)
        assert taken <= 6
        levels = [np.asarray(image)[0, 0, 0] for image in (first, *results)]
    assert levels == [255 - i for i in range(20)]
    assert 1 < servicer.most_running <= 3


def test_stylize_many_raises_or_returns_errors(address, photo):
    pictures = [photo, b"no picture", photo]
    with StyleClient(address) as client:
        results = list(client.stylize_many(pictures, "wave", errors="return"))
        assert [type(r) for r in results] == [Image.Image, ValueError, Image.Image]
        with pytest.raises(ValueError, match="A picture must be a"):
            list(client.stylize_many(pictures, "wave"))
        with pytest.raises(ValueError, match="`workers` must be at least 1"):
            client.stylize_many([], "wave", workers=0)
        with pytest.raises(ValueError, match="`errors` must be 'raise' or 'return'"):
            client.stylize_many([], "wave", errors="ignore")
        assert list(client.stylize_many([], "wave")) == []


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"server": "http://host:8501"}, "`server` must be HOST or HOST:PORT"),
        ({"server": ""}, "`server` must be HOST or HOST:PORT"),
        ({"signature": "predict"}, "`signature` must be one of"),
        ({"timeout_s": 0}, "`timeout_s` must be positive"),
        ({"timeout_s": float("inf")}, "`timeout_s` must be positive and under 1e9"),
        ({"max_message_mb": 0}, "`max_message_mb` must be positive"),
        ({"retries": -1}, "`retries` must be at least 0"),
        ({"token": "secret"}, "`token` must go over TLS"),
        ({"server": "dns:///host"}, "begin with dns:/// or unix:"),
    ],
)
def test_client_refuses_bad_settings(options, text):
    with pytest.raises(ValueError, match=text):
        StyleClient(**{"server": "host", **options})


def test_client_loads_no_tensorflow(run_without_tensorflow):
    run_without_tensorflow("""
        from tfstyle.serving.client import StyleClient
        StyleClient("host").close()
    """)


def test_command_paints_a_picture_and_a_folder(address, photo, tmp_path, capsys):
    photo.save(tmp_path / "a.png")
    photo.rotate(180).save(tmp_path / "b.png")
    (tmp_path / "notes.txt").write_text("no picture")
    out = tmp_path / "out.png"
    common = ["--style", "wave", "--server", address]
    assert cli.main(["client", str(tmp_path / "a.png"), "-o", str(out), *common]) == 0
    assert capsys.readouterr().out == f"{out}\n"
    assert np.array_equal(np.asarray(Image.open(out)), inverted(photo))
    out.unlink()
    (tmp_path / "c.jpg").write_bytes(b"broken")
    painted = tmp_path / "painted"
    assert cli.main(["client", str(tmp_path), "-o", str(painted), *common]) == 1
    captured = capsys.readouterr()
    assert captured.out.splitlines() == [str(painted / "a.png"), str(painted / "b.png")]
    why, passed_over, count = captured.err.splitlines()
    assert passed_over == f"{tmp_path}: passed over 1 .txt"
    assert why.startswith(f"{tmp_path / 'c.jpg'}: ")
    assert count == "1 of 3 photographs were left out"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["gone.jpg", "-o", "out.png"], "gone.jpg"),
        (["photo.png", "-o", "out.xyz"], "out.xyz"),
        (["photo.png", "-o", "out.png", "--token-file", "gone"], "gone"),
        (["photo.png", "-o", "out.png", "--server", "http://x"], "`server` must be"),
        (["photo.png", "-o", "out.png", "--workers", "0"], "`workers` must be"),
    ],
)
def test_command_refuses_bad_input_in_one_line(
    arguments, text, photo, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    photo.save("photo.png")
    assert cli.main(["client", *arguments, "--style", "wave"]) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert captured.err.startswith("tfstyle client: ")
    assert text in captured.err
