"""TF Serving's REST interface, readiness and Prometheus' page, on Starlette and uvicorn."""

import io
import json
import logging
import re
import socket
import ssl
import threading
import zlib

import anyio
import numpy as np
import uvicorn
from google.protobuf import json_format
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from tensorflow_serving.apis import model_pb2
from uvicorn.protocols.http.h11_impl import H11Protocol

from tfstyle.serving.grpc_service import metadata_of, status_of_model
from tfstyle.serving.json_tensors import read_request, write_response
from tfstyle.serving.status import METRICS_PATH, READY_PATH, StatusError, as_status, invalid

MAX_CONNECTIONS = 512  # more are answered 503
MAX_BODIES = 4  # of the largest size, that are held in memory at once

# Digits of ASCII only: \d would take those of every script.
_MODEL = r"/v1/models/(?P<name>[^/:]+)(?:/versions/(?P<version>[0-9]+)|/labels/(?P<label>[^/:]+))?"
_PREDICT = re.compile(_MODEL + r":(?P<method>predict|classify|regress)")
_STATUS = re.compile(_MODEL)
_METADATA = re.compile(_MODEL + "/metadata")


class RestServer:
    """HTTP on `config.rest_port`, with TLS if the config says so.

    The port is open at once, and connections wait in it until `start`.

    Args:
        predictor: `Predictor`.
        config: `ServeConfig`.
        authorize: Function of an `authorization` header, or None; raises `StatusError`.

    Attributes:
        port: What it listens on.

    Raises:
        OSError: If the port is taken.
    """

    def __init__(self, predictor, config, authorize):
        self._socket = _listen(config)
        self.port = self._socket.getsockname()[1]
        self._api = _Api(predictor, config, authorize)
        self._server = uvicorn.Server(
            uvicorn.Config(
                self._api.app,
                http=_PatientProtocol,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                limit_concurrency=MAX_CONNECTIONS,
                timeout_keep_alive=config.idle_s,
                timeout_graceful_shutdown=config.drain_s,
                ssl_keyfile=config.ssl_key,
                ssl_certfile=config.ssl_cert,
                ssl_ca_certs=config.ssl_client_ca,
                ssl_cert_reqs=ssl.CERT_REQUIRED if config.ssl_client_ca else ssl.CERT_NONE,
            )
        )
        logging.getLogger("uvicorn").setLevel(logging.ERROR)  # each broken request is a warning
        self._thread = threading.Thread(
            target=self._server.run, args=([self._socket],), name="tfstyle-rest", daemon=True
        )

    def start(self):
        """Answer in a thread of its own."""
        self._thread.start()

    def stop(self, grace_s):
        """Accept no more, and wait up to `grace_s` seconds for what is being answered."""
        self._server.should_exit = True
        if self._thread.ident is not None:
            self._thread.join(grace_s)
        self._socket.close()


def _listen(config):
    """Return a socket that listens on the host and port of a `ServeConfig`."""
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    listener = socket.create_server((config.host, config.rest_port), family=family, backlog=512)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # connections inherit it: who reads nothing is cut off
        milliseconds = round(1000 * config.idle_s)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
    return listener


class _PatientProtocol(H11Protocol):
    """Gives a request's headers `timeout_keep_alive` seconds, from the connection's beginning or
    the answer before, however they trickle in; uvicorn's own clock stops at the first byte."""

    def connection_made(self, transport):
        super().connection_made(transport)
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    def data_received(self, data):
        self.conn.receive_data(data)
        self.handle_events()  # stops the clock once the headers are whole


class _Api:
    """The application: `app` answers requests, in threads where models run; `held` bytes of bodies
    are in memory."""

    def __init__(self, predictor, config, authorize):
        self._predictor, self._config, self._authorize = predictor, config, authorize
        self.held = 0
        threads = config.max_queue + config.workers * config.max_batch_size + 32
        self._threads = anyio.CapacityLimiter(threads)
        cors = Middleware(
            CORSMiddleware, allow_origins=config.cors_origins, allow_headers=["*"], max_age=3600
        )
        self.app = Starlette(
            routes=[
                Route(METRICS_PATH, self._metrics),
                Route(READY_PATH, self._ready),
                Route("/v1/{path:path}", self._answer, methods=["GET", "POST"]),
            ],
            middleware=[cors] if config.cors_origins else [],
            exception_handlers={HTTPException: _refuse_path},
        )
        self.app.router.redirect_slashes = False  # nobody who means /v1/… sends /v1

    async def _metrics(self, request):
        """Tell Prometheus; a scrape is no request."""
        try:
            self._authorize(request.headers.get("authorization"))
        except StatusError as error:
            return _error(error.message, error.http_status)
        return Response(self._predictor.metrics.text(), media_type=CONTENT_TYPE_PLAIN_0_0_4)

    async def _ready(self, request):
        """Say whether every model has a version that serves; asked by probes, without a token."""
        if self._predictor.store.ready():
            return PlainTextResponse("ready\n")
        return PlainTextResponse("not ready\n", 503)

    async def _answer(self, request):
        """Answer a path below /v1/."""
        with self._predictor.metrics.request("REST") as facts:
            body = io.BytesIO()
            try:
                self._authorize(request.headers.get("authorization"))
                await self._read_body(request, body)
                answer = await self._run(request, body, facts)
                if isinstance(answer, bytes):
                    return Response(answer, media_type="application/json")
                failed = answer
            except ClientDisconnect:
                failed = StatusError("CANCELLED", "The client went away")
            except Exception as error:
                failed = as_status(error)
            finally:
                self.held -= body.getbuffer().nbytes
            facts["status"] = failed.code
            return _error(failed.message, failed.http_status)

    async def _read_body(self, request, body):
        """Read the body into a binary file, unpacked; count it in `self.held` as it comes."""
        limit = self._config.max_message_bytes
        coding = request.headers.get("content-encoding", "identity")
        if coding not in ("identity", "gzip"):
            raise StatusError("UNIMPLEMENTED", f"Content-Encoding must be gzip: {coding}")
        unpack = zlib.decompressobj(31) if coding == "gzip" else None
        _check_size(int(request.headers.get("content-length", 0)), limit)
        with anyio.fail_after(self._config.request_timeout_s):
            async for part in request.stream():
                if unpack is not None:
                    try:
                        part = unpack.decompress(part, limit + 1 - body.tell())
                    except zlib.error as error:
                        raise invalid(f"Broken gzip: {error}") from error
                _check_size(body.tell() + len(part), limit)
                if self.held + len(part) > MAX_BODIES * limit:
                    raise StatusError("UNAVAILABLE", "The server holds too many large requests")
                self.held += body.write(part)
        if unpack is not None and not unpack.eof:
            raise invalid("Broken gzip: it ends too early")
        body.seek(0)

    async def _run(self, request, body, facts):
        """Return bytes or a `StatusError` from a thread; give up if the client goes away."""
        tasks = []

        async def watch():
            while (await request.receive())["type"] != "http.disconnect":
                pass
            for task in tasks:
                self._predictor.scheduler.cancel(task)

        def work():
            try:
                return self._route(request, body, facts, tasks.append)
            except Exception as error:  # raised through threads and groups it would be wrapped
                return as_status(error)

        async with anyio.create_task_group() as group:
            group.start_soon(watch)
            try:
                return await anyio.to_thread.run_sync(work, limiter=self._threads)
            finally:
                group.cancel_scope.cancel()
                tasks.clear()  # a watch that was cancelled is kept, in a circle, for a while

    def _route(self, request, body, facts, on_task):
        """Return the answer to a path below /v1/, as bytes of JSON."""
        predictor, method, path = self._predictor, request.method, request.scope["path"]
        if method == "POST" and (match := _PREDICT.fullmatch(path)):
            if match["method"] != "predict":
                raise StatusError("UNIMPLEMENTED", f"{match['method']} is not implemented")
            with predictor.servable(_spec(match), facts) as servable:
                most = 4 * self._config.max_pixels + 1000  # three numbers and a list a pixel
                asked = read_request(body, servable, max_elements=most)
                outputs = asked.signature.choose_outputs(())
                arrays = predictor.predict(
                    servable, asked.signature, asked.feeds, outputs, on_task=on_task
                )
                # A digit and a comma each: what is sure to be too long is not written at all.
                predictor.check_response(2 * sum(map(np.size, arrays.values())))
                content = write_response(arrays, asked.row_format)
                predictor.check_response(len(content))
                return content
        if method == "GET" and (match := _METADATA.fullmatch(path)):
            with predictor.servable(_spec(match), facts) as servable:
                return _metadata_json(metadata_of(servable))
        if method == "GET" and (match := _STATUS.fullmatch(path)):
            return _to_json(status_of_model(predictor.store, _spec(match)))
        raise invalid(f"Malformed request: {method} {path}")


def _check_size(size, limit):
    """Raise `StatusError` if a body is too large."""
    if size > limit:
        raise StatusError(
            "RESOURCE_EXHAUSTED", f"Received message larger than max ({size} vs. {limit})"
        )


async def _refuse_path(request, error):
    """Answer a path or a method that there is not."""
    path = request.scope["path"]
    text = f"Not found: {path}" if error.status_code == 404 else f"{error.detail}: {path}"
    return _error(text, error.status_code, error.headers)


def _error(text, status, headers=None):
    return Response(json.dumps({"error": text}), status, headers, media_type="application/json")


def _spec(match):
    """Return the `ModelSpec` of a path."""
    spec = model_pb2.ModelSpec(name=match["name"])
    if match["version"]:
        if len(match["version"]) > 19 or int(match["version"]) >= 2**63:
            raise invalid(f"Failed to convert version: {match['version']} to numeric.")
        spec.version.value = int(match["version"])
    if match["label"]:
        spec.version_label = match["label"]
    return spec


def _to_json(message):
    return json_format.MessageToJson(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    ).encode()


def _metadata_json(response):
    """Write metadata as TF Serving does: without the type of what is wrapped in Any."""
    document = json.loads(_to_json(response))
    del document["metadata"]["signature_def"]["@type"]
    return json.dumps(document, indent=1).encode()
