"""The server: gRPC, REST, health and metrics around a store of models, started and drained."""

import concurrent.futures
import logging
import os
import queue
import signal
import ssl
import threading
import time
from pathlib import Path

os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")  # as in client.py

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

from tfstyle.serving.catalog import find_models, read_models_config
from tfstyle.serving.config import ServeConfig
from tfstyle.serving.grpc_service import ModelService, PredictionService
from tfstyle.serving.models import ModelStore
from tfstyle.serving.predictor import Predictor
from tfstyle.serving.rest import RestServer

log = logging.getLogger(__name__)

HEALTH_SERVICES = (
    "",
    "PredictionService",
    "ModelService",
    "tensorflow.serving.PredictionService",
    "tensorflow.serving.ModelService",
)


class StyleServer:
    """A server that speaks TF Serving's gRPC and REST. It is small, and not TF Serving.

    Every version is loaded when the constructor returns. `with` starts the server, and drains it
    at the end.

    Args:
        models: Folder with `NAME/VERSION/saved_model.pb`, looked through again and again; or the
            path of a models.config.
        config: `ServeConfig`. Default: its defaults.

    Attributes:
        port, rest_port: What it listens on; `rest_port` is None without REST.

    Raises:
        FileNotFoundError: If `models` or a certificate does not exist.
        ValueError: If there is no model, or models.config or the certificate cannot be used.
        OSError: If a port is taken.
    """

    def __init__(self, models, config=None):
        self.config = config = config or ServeConfig()
        models = Path(models)
        if models.is_file():
            configs = read_models_config(models)
            found = configs
        else:
            configs = lambda: find_models(models, config.keep_versions)  # noqa: E731
            found = configs()
        if not found:
            raise ValueError(
                f"`models` must hold folders NAME/VERSION with a SavedModel. Received: '{models}'. "
                "Export a style there first."
            )
        credentials = _credentials(config)
        roots = {Path(models).resolve(), *(c.base_path.resolve().parent for c in found.values())}
        self._stopping, self._watch = threading.Event(), None
        self._rest = self.rest_port = None
        self.store = ModelStore(configs, timeout_s=config.request_timeout_s)
        self.store.poll()
        self.predictor = Predictor(self.store, config)
        # Threads enough for every waiting request, so that the queue alone turns requests away.
        threads = config.max_queue + config.workers * config.max_batch_size + 32
        self._grpc = grpc.server(
            concurrent.futures.ThreadPoolExecutor(threads),
            options=[
                ("grpc.max_receive_message_length", config.max_message_bytes),
                ("grpc.max_send_message_length", -1),
                ("grpc.so_reuseport", 0),
            ],
            maximum_concurrent_rpcs=threads,
        )
        self._health = health.HealthServicer()
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
            PredictionService(self.predictor), self._grpc
        )
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(
            ModelService(self.store, roots), self._grpc
        )
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._grpc)
        try:
            self._open_ports(credentials)
        except OSError:
            self._close()
            raise

    def _open_ports(self, credentials):
        config = self.config
        address = f"{config.host}:{config.port}"
        try:
            if credentials is None:
                self.port = self._grpc.add_insecure_port(address)
            else:
                self.port = self._grpc.add_secure_port(address, credentials)
        except RuntimeError as error:
            raise OSError(f"`port` must be free. Received: {address}.") from error
        if config.rest_port is None:
            return
        try:
            self._rest = RestServer(self.predictor, config)
        except OSError as error:
            address = f"{config.host}:{config.rest_port}"
            raise OSError(f"`rest_port` must be free. Received: {address} ({error}).") from error
        self.rest_port = self._rest.server_address[1]

    def start(self):
        """Open the ports and look for new versions from now on."""
        self._grpc.start()
        if self._rest is not None:
            self._rest.start()
        self.store.start_polling(self.config.poll_s)
        self._set_health()
        self._watch = threading.Thread(target=self._report_health, daemon=True)
        self._watch.start()

    def stop(self):
        """Take no more requests, finish those begun within `drain_s` seconds, unload the models."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        if self._watch is not None:
            self._drain()
        self._close()

    def _drain(self):
        self._watch.join()
        self._health.enter_graceful_shutdown()
        deadline = time.monotonic() + self.config.drain_s
        stopped = self._grpc.stop(self.config.drain_s)
        if self._rest is not None:
            self._rest.stop(self.config.drain_s)
        stopped.wait(max(0.1, deadline - time.monotonic()) + 1)

    def _close(self):
        if self._rest is not None:
            self._rest.server_close()
        self.predictor.scheduler.close(timeout_s=1.0)
        self.store.close()

    def serve_until_signal(self):
        """Start, wait for SIGTERM or SIGINT (from the main thread), and drain."""
        asked = queue.SimpleQueue()  # an Event deadlocks if the signal comes as `wait` begins
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda number, frame: asked.put(number))
        self.start()
        asked.get()
        log.info("draining")
        self.stop()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exception):
        self.stop()

    def _set_health(self):
        """Serve only while every model has a version available; TF Serving does not look."""
        ready = all(self.store.available(name) for name in self.store.names())
        status = health_pb2.HealthCheckResponse
        for service in HEALTH_SERVICES:
            self._health.set(service, status.SERVING if ready else status.NOT_SERVING)

    def _report_health(self):
        while not self._stopping.wait(min(1.0, self.config.poll_s)):
            self._set_health()


def _credentials(config):
    """Read key and certificate, or return None without TLS."""
    if config.ssl_key is None:
        return None
    pair = config.ssl_key.read_bytes(), config.ssl_cert.read_bytes()
    try:
        ssl.create_default_context().load_cert_chain(config.ssl_cert, config.ssl_key)
    except ssl.SSLError as error:
        raise ValueError(
            "`ssl_key` and `ssl_cert` must be a key and its certificate in PEM. "
            f"Received: '{config.ssl_key}' and '{config.ssl_cert}' ({error})."
        ) from error
    return grpc.ssl_server_credentials([pair])
