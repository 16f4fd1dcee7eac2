"""The page with Python behind it: who may ask, lines on the way, hanging up."""

import asyncio
import base64
import concurrent.futures
import contextlib
import http.client
import io
import json
import socket
import threading

import numpy as np
import pytest
import uvicorn
from PIL import Image

from tfstyle.cli import app as cli
from tfstyle.cli.main import main
from tfstyle.export import app, page


def encoded(color):
    file = io.BytesIO()
    Image.new("RGB", (32, 24), color).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


ASKED = {"photograph": encoded("white"), "painting": encoded("red"), "size": 32}


@pytest.fixture
def served(tmp_path):
    """Port of the application, with a page in it."""
    (tmp_path / "index.html").write_text("the page")
    with serve(app.make_app(tmp_path)) as port:
        yield port


@contextlib.contextmanager
def serve(application):
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(application, log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run, args=([[listener]]), daemon=True)
    thread.start()
    yield listener.getsockname()[1]
    server.should_exit = True
    thread.join(10)


def ask(port, method="POST", path="/optimize", body=None, **headers):
    """Return the answer to a request as the page sends it."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    own = {"Origin": f"http://127.0.0.1:{port}", "Content-Type": "application/json"}
    body = json.dumps(ASKED if body is None else body) if method == "POST" else None
    connection.request(method, path, body, own | headers)
    return connection.getresponse()


def test_the_page_may_use_threads(served):
    answer = ask(served, "GET", "/")
    assert answer.read() == b"the page"
    assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert answer.headers["Cross-Origin-Embedder-Policy"] == "require-corp"


def test_lines_tell_how_far_it_is_and_end_with_the_picture(served, monkeypatch):
    def stylize(photograph, painting, size, callbacks):
        assert Image.open(io.BytesIO(painting)).getpixel((0, 0)) == (255, 0, 0)
        assert callbacks.function(0.5, lambda: np.full((24, size, 3), 0.5))
        return Image.new("RGB", (size, 24), "blue")

    monkeypatch.setattr(app, "stylize", stylize)
    half, whole = (json.loads(line) for line in ask(served).read().splitlines())
    assert (half["share"], whole["share"]) == (0.5, 1)
    for line, kind, color in ((half, "JPEG", (128, 128, 128)), (whole, "PNG", (0, 0, 255))):
        picture = Image.open(io.BytesIO(base64.b64decode(line["picture"])))
        assert (picture.format, picture.getpixel((5, 5))) == (kind, color)


def test_who_hangs_up_ends_the_painting_and_the_next_may_ask(served, monkeypatch, wait_until):
    ended, begun = threading.Event(), threading.Event()

    def stylize(photograph, painting, size, callbacks):
        begun.set()
        wait_until(lambda: not callbacks.function(0.1, lambda: np.zeros((24, 32, 3))))
        ended.set()
        return Image.new("RGB", (32, 24))

    monkeypatch.setattr(app, "stylize", stylize)
    answer = ask(served)
    assert begun.wait(10)
    assert ask(served).status == 409
    answer.close()
    assert ended.wait(10)
    monkeypatch.setattr(app, "stylize", lambda *_, **__: Image.new("RGB", (32, 24)))
    wait_until(lambda: b"picture" in ask(served).read())


def test_who_waits_is_told_when_the_server_is_ended(tmp_path, monkeypatch):
    begun = threading.Event()

    def stylize(photograph, painting, size, callbacks):
        begun.set()
        while callbacks.function(0.1, lambda: np.zeros((24, 32, 3))):
            pass
        return Image.new("RGB", (32, 24))

    monkeypatch.setattr(app, "stylize", stylize)
    application = app.make_app(tmp_path)
    app.hang_up(application)
    with serve(application) as port:
        answer = ask(port)
        assert begun.wait(10)
        app.hang_up(application)
        assert json.loads(answer.read().splitlines()[-1]) == {"error": "`tfstyle app` was ended."}


def test_what_goes_wrong_is_told_in_a_line(served):
    answer = ask(served, body=ASKED | {"painting": base64.b64encode(b"none").decode()})
    (line,) = answer.read().splitlines()
    assert "picture" in json.loads(line)["error"]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"Origin": "https://example.org"}, 403),
        ({"Origin": "null"}, 403),
        ({"Host": "example.org", "Origin": "http://example.org"}, 400),
        ({"body": {"size": 3}}, 400),
        ({"body": ASKED | {"painting": "*"}}, 400),
        ({"body": ASKED | {"size": None}}, 400),
        ({"body": ASKED | {"size": float("inf")}}, 400),
        ({"body": ASKED | {"size": 1_000_000}}, 400),
        ({"body": ASKED | {"size": -32}}, 400),
        ({"path": "/optimize?x", "method": "GET"}, 404),
        ({"path": "/../app.py", "method": "GET"}, 404),
        ({"path": "/models/..%2f..%2fsecret", "method": "GET"}, 404),
        ({"body": []}, 400),
    ],
)
def test_others_are_turned_away(served, change, status):
    answer = ask(served, **change)
    assert answer.status == status
    assert b"Traceback" not in answer.read()


def test_a_request_that_is_nested_deep_is_turned_away(served):
    connection = http.client.HTTPConnection("127.0.0.1", served, timeout=20)
    connection.request("POST", "/optimize", "[" * 200_000, {"Origin": f"http://127.0.0.1:{served}"})
    assert connection.getresponse().status == 400


def test_a_network_is_written_once_when_it_is_asked_for(tmp_path):
    asked = []

    def write_model(file):
        asked.append(file)
        if file == "models/wave.tflite":
            (tmp_path / file).write_bytes(b"the network")

    (tmp_path / "models").mkdir()
    with serve(app.make_app(tmp_path, write_model)) as port:
        for _ in range(2):
            assert ask(port, "GET", "/models/wave.tflite?1").read() == b"the network"
        assert ask(port, "GET", "/models/none.tflite").status == 404
    assert asked == ["models/wave.tflite", "models/none.tflite"]


def test_who_hangs_up_at_once_ends_the_painting_too(tmp_path, monkeypatch, wait_until):
    ended = threading.Event()

    def stylize(photograph, painting, size, callbacks):
        wait_until(lambda: not callbacks.function(0.1, lambda: np.zeros((24, 32, 3))))
        ended.set()
        return Image.new("RGB", (32, 24))

    async def gone():
        return {"type": "http.disconnect"}

    async def nobody(message):
        raise OSError

    async def ask_and_go():
        lock = threading.Lock()
        lock.acquire()
        with concurrent.futures.ThreadPoolExecutor(1) as painter:
            answer = app._Painting(painter, lock, [b"", b""], 32)
            with contextlib.suppress(BaseException):
                await answer({"type": "http", "asgi": {"spec_version": "2.0"}}, gone, nobody)
            assert await asyncio.to_thread(ended.wait, 10)

    monkeypatch.setattr(app, "stylize", stylize)
    asyncio.run(ask_and_go())


def test_a_huge_request_is_not_read(served):
    connection = http.client.HTTPConnection("127.0.0.1", served, timeout=20)
    connection.putrequest("POST", "/optimize")
    connection.putheader("Origin", f"http://127.0.0.1:{served}")
    connection.putheader("Content-Length", str(app.MAX_BODY + 1))
    connection.endheaders()
    assert connection.getresponse().status == 413


def test_the_command_serves_a_page_that_it_made_once(tmp_path, monkeypatch, capsys):
    made, opened = [], []

    def publish_app(styles, folder):
        made.append(styles)
        folder.mkdir(parents=True)
        (folder / "index.html").write_text("the page")

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(page, "publish_app", publish_app)
    monkeypatch.setattr(cli.webbrowser, "open", opened.append)
    monkeypatch.setattr(uvicorn.Server, "run", lambda self, sockets: sockets[0].close())
    for _ in range(2):
        assert main(["app", "wave", "any", "--port", "0"]) == 0
    assert made == [["wave", "any"]]
    assert opened[0].startswith("http://127.0.0.1:")
    assert "the page is at http://127.0.0.1:" in capsys.readouterr().out
    assert main(["app", "wave", "--port", "0", "--no-browser"]) == 0
    assert len(made) == 2


@pytest.mark.parametrize(
    ("arguments", "text"),
    [("nonsense", "`style` must be one of"), ("--port 70000", "`port` must be 0 to 65535")],
)
def test_the_command_refuses(capsys, arguments, text):
    assert main(["app", *arguments.split()]) == 2
    assert text in capsys.readouterr().err


def test_a_port_that_is_taken_is_told(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert main(["app", "--port", str(taken.getsockname()[1])]) == 2
    assert "cannot be had" in capsys.readouterr().err
