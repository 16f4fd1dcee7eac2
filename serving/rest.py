"""TF Serving's REST interface, and its Prometheus page, on the standard library's HTTP server."""

import http.server
import json
import logging
import re
import ssl
import threading
import time
import urllib.parse

from google.protobuf import json_format
from tensorflow_serving.apis import get_model_metadata_pb2, model_pb2

from tfstyle.serving.grpc_service import metadata_of, status_of_model
from tfstyle.serving.json_tensors import read_request, write_response
from tfstyle.serving.metrics import CONTENT_TYPE, METRICS_PATH
from tfstyle.serving.status import StatusError

log = logging.getLogger(__name__)

IDLE_S = 30.0  # a connection that says nothing for so long is closed
MAX_CONNECTIONS = 256
MAX_BODIES = 4  # of the largest size, that are held in memory at once

_MODEL = r"/v1/models/(?P<name>[^/:]+)(?:/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?"
_PREDICT = re.compile(_MODEL + r":(?P<method>predict|classify|regress)")
_STATUS = re.compile(_MODEL)
_METADATA = re.compile(_MODEL + "/metadata")


class RestServer(http.server.ThreadingHTTPServer):
    """HTTP on `config.rest_port`, with TLS if the config says so.

    Args:
        predictor: `Predictor`.
        config: `ServeConfig`.

    Raises:
        OSError: If the port is taken.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, predictor, config):
        self.predictor, self.config = predictor, config
        self.draining = False
        self._busy, self._held, self._idle = 0, 0, threading.Condition()
        self._places = threading.BoundedSemaphore(MAX_CONNECTIONS)
        super().__init__((config.host, config.rest_port), _Handler)
        if config.ssl_key is not None:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(config.ssl_cert, config.ssl_key)
            # The handshake waits for the client: not in the thread that accepts all others.
            self.socket = context.wrap_socket(
                self.socket, server_side=True, do_handshake_on_connect=False
            )

    def start(self):
        """Answer in threads of its own."""
        threading.Thread(target=self.serve_forever, args=(0.1,), daemon=True).start()

    def stop(self, grace_s):
        """Accept no more, and wait up to `grace_s` seconds for what is being answered."""
        self.draining = True
        self.shutdown()
        deadline = time.monotonic() + grace_s
        with self._idle:
            self._idle.wait_for(lambda: not self._busy, max(0.0, deadline - time.monotonic()))

    def busy(self, change):
        """Count the requests being answered up or down."""
        with self._idle:
            self._busy += change
            self._idle.notify_all()

    def hold(self, size):
        """Count `size` bytes of bodies in memory, or off it; return False if they are too many."""
        with self._idle:
            if self._held + size > MAX_BODIES * self.config.max_message_bytes:
                return False
            self._held += size
            return True

    def process_request(self, request, client_address):
        if not self._places.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # there can be no more threads
            self._places.release()
            raise

    def process_request_thread(self, request, client_address):
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request, client_address):
        log.debug("connection of %s broke", client_address, exc_info=True)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "tfstyle", ""
    timeout = IDLE_S
    disable_nagle_algorithm = True

    def do_GET(self):
        self._answer()

    def do_POST(self):
        self._answer()

    def log_message(self, format, *args):
        log.debug(format, *args)

    def _answer(self):
        self.server.busy(+1)
        self.held = 0
        try:
            with self.server.predictor.metrics.request("REST") as facts:
                status, kind, content = self._respond(facts)
            self._send(status, kind, content)
        finally:
            self.server.hold(-self.held)
            self.server.busy(-1)

    def _respond(self, facts):
        """Return status, content type and content."""
        try:
            body = self._read_body()
            if self.server.draining:
                raise StatusError("UNAVAILABLE", "The server is shutting down")
            path = urllib.parse.unquote(self.path.split("?")[0])
            if path == METRICS_PATH and self.command == "GET":
                return 200, CONTENT_TYPE, self.server.predictor.metrics.text().encode()
            if not path.lower().startswith("/v1/"):
                facts["status"] = "NOT_FOUND"
                return 404, "application/json", _error(f"Not found: {path}")
            return 200, "application/json", self._route(path, body, facts)
        except StatusError as error:
            facts["status"] = error.code
            return error.http_status, "application/json", _error(error.message)
        except (ConnectionError, TimeoutError):
            facts["status"] = "CANCELLED"
            raise
        except MemoryError:
            facts["status"] = "RESOURCE_EXHAUSTED"
            return 429, "application/json", _error("Out of memory")
        except Exception as error:
            log.exception("a request failed unexpectedly")
            facts["status"] = "INTERNAL"
            return 500, "application/json", _error(f"{type(error).__name__}: {error}")

    def _read_body(self):
        """Read the request's body; what cannot be read ends the connection after the answer."""
        header = self.headers.get("Content-Length")
        self.close_connection = True
        if self.headers.get("Transfer-Encoding") or self.headers.get("Content-Encoding"):
            raise StatusError("UNIMPLEMENTED", "The body must be sent plain, with Content-Length")
        if header is None:
            if self.command == "POST":
                raise StatusError("INVALID_ARGUMENT", "The request has no Content-Length")
            header = "0"
        if not (header.isascii() and header.isdecimal() and len(header) < 20):
            raise StatusError("INVALID_ARGUMENT", f"Content-Length is no number: {header}")
        length, limit = int(header), self.server.config.max_message_bytes
        if length > limit:
            raise StatusError(
                "RESOURCE_EXHAUSTED", f"Received message larger than max ({length} vs. {limit})"
            )
        if not self.server.hold(length):
            raise StatusError("UNAVAILABLE", "The server holds too many large requests")
        self.held = length
        deadline = time.monotonic() + self.server.config.request_timeout_s
        body = bytearray()
        while len(body) < length:
            part = self.rfile.read1(min(length - len(body), 2**16))
            if not part:
                raise ConnectionError("the client sent less than it promised")
            if time.monotonic() > deadline:
                raise StatusError("DEADLINE_EXCEEDED", "The request did not come in time")
            body += part
        asked = self.headers.get("Connection", "").lower()
        self.close_connection = asked == "close" or self.request_version == "HTTP/1.0"
        return body

    def _route(self, path, body, facts):
        """Answer a path below /v1/."""
        predictor = self.server.predictor
        if self.command == "POST" and (match := _PREDICT.fullmatch(path)):
            if match["method"] != "predict":
                raise StatusError("UNIMPLEMENTED", f"{match['method']} is not implemented")
            with predictor.servable(_spec(match), facts) as servable:
                limits = predictor.config.max_pixels
                request = read_request(body, servable, max_elements=3 * limits)
                outputs = request.signature.choose_outputs(())
                arrays = predictor.predict(servable, request.signature, request.feeds, outputs)
                content = write_response(arrays, request.row_format)
                predictor.check_response(len(content))
                return content
        if self.command == "GET" and (match := _METADATA.fullmatch(path)):
            with predictor.servable(_spec(match), facts) as servable:
                return _metadata_json(metadata_of(servable))
        if self.command == "GET" and (match := _STATUS.fullmatch(path)):
            return _to_json(status_of_model(predictor.store, _spec(match)))
        raise StatusError("INVALID_ARGUMENT", f"Malformed request: {self.command} {path}")

    def _send(self, status, kind, content):
        self.send_response(status, "Client Closed Request" if status == 499 else None)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        if self.close_connection or self.server.draining:
            self.close_connection = True
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)


def _spec(match):
    """Return the `ModelSpec` of a path."""
    spec = model_pb2.ModelSpec(name=match["name"])
    if match["version"]:
        if int(match["version"]) >= 2**63:
            raise StatusError(
                "INVALID_ARGUMENT", f"Failed to convert version: {match['version']} to numeric."
            )
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
    definitions = get_model_metadata_pb2.SignatureDefMap()
    response.metadata["signature_def"].Unpack(definitions)
    spec = {
        "name": response.model_spec.name,
        "signature_name": "",
        "version": str(response.model_spec.version.value),
    }
    metadata = {"signature_def": json.loads(_to_json(definitions))}
    return json.dumps({"model_spec": spec, "metadata": metadata}, indent=1).encode()


def _error(message):
    return json.dumps({"error": message}).encode()
