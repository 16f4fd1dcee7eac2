"""The page on one's own machine, with Python behind it for what a browser is too slow for."""

import asyncio
import base64
import concurrent.futures
import contextlib
import io
import json
import logging
import threading
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from tfstyle.painting.doors import stylize
from tfstyle.pictures import to_pil

HOSTS = ["127.0.0.1", "localhost"]  # by other names, other pages could ask
MAX_BODY = 64_000_000
HEADERS = {  # without the first two a page gets no threads
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cache-Control": "no-cache",
    "X-Content-Type-Options": "nosniff",
}
QUALITY = 90  # of the JPEGs that show how far it is

log = logging.getLogger(__name__)


def make_app(folder):
    """Return an ASGI application that serves a page and paints for it.

    `POST /optimize` takes JSON with `photograph` and `painting`, files in base64, and `size`, the
    long side in pixels. It answers with lines of JSON: `share`, how much is done, and `picture`, a
    JPEG in base64; the last has a share of 1 and the picture as PNG, or an `error`. Who hangs up
    ends the painting. One is painted at a time; others are answered 409.

    Args:
        folder: What `tfstyle.export.page.publish_page` wrote.
    """
    painter = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="tfstyle-app")
    busy = threading.Lock()

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
            size = int(asked["size"])
        except (ValueError, KeyError, TypeError) as error:
            return PlainTextResponse(f"The request cannot be read: {error}.", 400)
        if not busy.acquire(blocking=False):
            return PlainTextResponse("Another picture is being painted: wait for it.", 409)
        return StreamingResponse(
            _lines(painter, busy, pictures, size), media_type="application/x-ndjson"
        )

    return Starlette(
        routes=[
            Route("/optimize", optimize, methods=["POST"]),
            Mount("/", StaticFiles(directory=folder, html=True)),
        ],
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=HOSTS),
            Middleware(_WithHeaders),
        ],
    )


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


def _lines(painter, busy, pictures, size):
    """Begin to paint in a thread, and return a generator of lines of JSON; a reader who goes away
    ends the painting."""
    loop, lines, gone = asyncio.get_running_loop(), asyncio.Queue(), threading.Event()

    def say(**line):
        # The loop is closed when the server has ended.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(lines.put_nowait, json.dumps(line) + "\n")

    def paint():
        try:
            picture = _optimize(*pictures, size, say, gone)
            say(share=1, picture=_encoded(picture, "PNG"))
        except (ValueError, OSError, ArithmeticError) as error:
            say(error=str(error))
        except Exception:
            log.exception("a picture could not be painted")
            say(error="It could not be painted. The terminal says why.")
        finally:
            busy.release()
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(lines.put_nowait, None)

    async def read():
        try:
            while (line := await lines.get()) is not None:
                yield line
        finally:
            gone.set()

    painter.submit(paint)
    return read()


def _optimize(photograph, painting, size, say, gone):
    """Return a picture painted by optimization."""
    from tfstyle.optimize.callbacks import Watch

    def watch(share, read):
        say(share=share, picture=_encoded(to_pil(read()), "JPEG", quality=QUALITY))
        return not gone.is_set()

    return stylize(photograph, painting, size=size, callbacks=Watch(watch))


def _encoded(picture, kind, **options):
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return base64.b64encode(file.getvalue()).decode()
