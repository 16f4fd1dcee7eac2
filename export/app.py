"""The page on one's own machine, with Python behind it for what a browser is too slow for."""

import asyncio
import base64
import concurrent.futures
import contextlib
import io
import json
import logging
import operator
import threading
from pathlib import Path
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from tfstyle.painting.doors import stylize
from tfstyle.pictures import MIN_SIDE, to_pil

HOSTS = ["127.0.0.1", "localhost"]  # by other names, other pages could ask
MAX_BODY = 64_000_000
MAX_SIZE = 4096  # more takes tens of gigabytes
HEADERS = {  # without the first two a page gets no threads
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cache-Control": "no-cache",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
QUALITY = 90  # of the JPEGs that show how far it is

log = logging.getLogger(__name__)


def make_app(folder, write_model=None, prepare=None):
    """Return an ASGI application that serves a page and paints for it.

    `POST /optimize` takes JSON with `photograph` and `painting`, files in base64, and `size`, the
    long side in pixels. It answers with lines of JSON: `share`, how much is done, and `picture`, a
    JPEG in base64; the last has a share of 1 and the picture as PNG, or an `error`. Who hangs up
    ends the painting. One is painted at a time; others are answered 409.

    Args:
        folder: What `tfstyle.export.page.publish_app` wrote.
        write_model: Function that writes a network of the page which isn't there yet, see
            `tfstyle.export.page.model_writer`. Default: all are there.
        prepare: Function that is called in each thread before it computes. Default: none.
    """
    files = StaticFiles(directory=folder, html=True)
    exporter = concurrent.futures.ThreadPoolExecutor(1, "tfstyle-app-export", prepare)
    painter = concurrent.futures.ThreadPoolExecutor(1, "tfstyle-app", prepare)
    busy = threading.Lock()

    def write_missing(file):
        if write_model and not (Path(folder) / file).is_file():
            write_model(file)

    async def model(request):
        file = f"models/{request.path_params['name']}"
        await asyncio.get_running_loop().run_in_executor(exporter, write_missing, file)
        return await files.get_response(file, request.scope)

    async def optimize(request):
        if not _from_own_page(request):
            return PlainTextResponse("Only the page itself may ask.", 403)
        if int(request.headers.get("content-length", MAX_BODY + 1)) > MAX_BODY:
            return PlainTextResponse(f"A request may have {MAX_BODY} bytes.", 413)
        try:
            asked = json.loads(await request.body())
            pictures = [
                base64.b64decode(asked[name], validate=True) for name in ("photograph", "painting")
            ]
            size = operator.index(asked["size"])
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            return PlainTextResponse(f"The request cannot be read: {error}.", 400)
        if not MIN_SIDE <= size <= MAX_SIZE:
            text = (
                f"`size` must be {MIN_SIDE} to {MAX_SIZE}. Received: {size}. Choose another size."
            )
            return PlainTextResponse(text, 400)
        if not busy.acquire(blocking=False):
            return PlainTextResponse("Another picture is being painted: wait for it.", 409)
        application.state.painting = _Painting(painter, busy, pictures, size)
        return application.state.painting

    application = Starlette(
        routes=[
            Route("/optimize", optimize, methods=["POST"]),
            Route("/models/{name}", model),
            Mount("/", files),
        ],
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=HOSTS),
            Middleware(_WithHeaders),
        ],
    )
    application.state.painting = None
    return application


def hang_up(application):
    """Let the painting that an application is at end, and tell who waits for it."""
    if application.state.painting is not None:
        application.state.painting.end("`tfstyle app` was ended.")


class _WithHeaders:
    """Middleware that adds `HEADERS` to every answer."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        async def send_with_headers(message):
            if message["type"] == "http.response.start":
                more = [(key.lower().encode(), value.encode()) for key, value in HEADERS.items()]
                message = message | {"headers": [*message["headers"], *more]}
            await send(message)

        await self.app(scope, receive, send_with_headers)


def _from_own_page(request):
    """Tell whether a request comes from the page, not from one on another site."""
    origin = request.headers.get("origin", "")
    return urlsplit(origin).netloc == request.headers.get("host")


class _Painting(StreamingResponse):
    """Lines of JSON on a picture that is painted in a thread; a reader who goes away ends it."""

    def __init__(self, painter, busy, pictures, size):
        self.loop, self.lines = asyncio.get_running_loop(), asyncio.Queue()
        self.busy, self.gone = busy, threading.Event()
        super().__init__(self.read(), media_type="application/x-ndjson")
        painter.submit(self.paint, pictures, size)

    async def __call__(self, scope, receive, send):
        try:
            await super().__call__(scope, receive, send)
        finally:
            self.gone.set()

    def end(self, reason):
        self.gone.set()
        self.say(error=reason, last=True)

    async def read(self):
        last = False
        while not last:
            line, last = await self.lines.get()
            yield line

    def say(self, last=False, **line):
        item = json.dumps(line) + "\n", last
        with contextlib.suppress(RuntimeError):  # the loop is closed when the server has ended
            self.loop.call_soon_threadsafe(self.lines.put_nowait, item)

    def paint(self, pictures, size):
        try:
            picture = _optimize(pictures, size, self.say, self.gone)
            line = {"share": 1, "picture": _encoded(picture, "PNG")}
        except (ValueError, OSError, ArithmeticError) as error:
            line = {"error": str(error)}
        except Exception:
            log.exception("a picture could not be painted")
            line = {"error": "It could not be painted. The terminal says why."}
        self.busy.release()
        self.say(**line, last=True)


def _optimize(pictures, size, say, gone):
    """Return a picture painted by optimization."""
    from tfstyle.optimize.callbacks import Watch

    def watch(share, read):
        say(share=share, picture=_encoded(to_pil(read()), "JPEG", quality=QUALITY))
        return not gone.is_set()

    return stylize(*pictures, size=size, callbacks=Watch(watch))


def _encoded(picture, kind, **options):
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return base64.b64encode(file.getvalue()).decode()
