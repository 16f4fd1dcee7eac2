"""The server: gRPC, REST, health and metrics around a store of models, started and drained."""

import concurrent.futures
import contextlib
import logging
import os
import queue
import signal
import threading
import time
from pathlib import Path

os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")  # as in client.py

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from tensorflow_serving.apis import (
    model_service_pb2,
    model_service_pb2_grpc,
    prediction_service_pb2,
    prediction_service_pb2_grpc,
)

from tfstyle.serving.access import TokenCheck, authorizer, credentials
from tfstyle.serving.catalog import finder
from tfstyle.serving.config import ServeConfig
from tfstyle.serving.grpc_service import ModelService, PredictionService
from tfstyle.serving.models import ModelStore
from tfstyle.serving.predictor import Predictor
from tfstyle.serving.rest import RestServer

log = logging.getLogger(__name__)

# Their descriptors are what reflection tells; the stubs alone do not load them.
SERVICES = tuple(
    service.full_name
    for module in (prediction_service_pb2, model_service_pb2)
    for service in module.DESCRIPTOR.services_by_name.values()
)
HEALTH_SERVICES = ("", "PredictionService", "ModelService", *SERVICES)


class StyleServer:
    """A server that speaks TF Serving's gRPC and REST. It is small, and not TF Serving.

    When the constructor returns, the ports are taken and every version is loaded; calls wait.
    `with` starts the server, and drains it at the end.

    Args:
        models: Folder with `NAME/VERSION/saved_model.pb`, looked through again and again; or the
            path of a models.config.
        config: `ServeConfig`. Default: its defaults.

    Attributes:
        port, rest_port: What it listens on; `rest_port` is None without REST.

    Raises:
        FileNotFoundError: If `models` or a certificate does not exist.
        ValueError: If there is no model, or models.config, a certificate or the tokens cannot be
            used.
        OSError: If a port is taken; this is known before a model loads.
    """

    def __init__(self, models, config=None):
        self.config = config = config or ServeConfig()
        find_configs = finder(models, config.keep_versions)
        bases = (model.base_path.resolve().parent for model in find_configs().values())
        roots = {Path(models).resolve(), *bases}
        self._stopping, self._watch = threading.Event(), None
        self._rest = self.rest_port = None
        self.store = ModelStore(find_configs, timeout_s=config.request_timeout_s)
        self.predictor = Predictor(self.store, config)
        authorize = authorizer(config)
        # Threads enough for every waiting request, so that the queue alone turns requests away.
        threads = config.max_queue + config.workers * config.max_batch_size + 32
        self._grpc = grpc.server(
            concurrent.futures.ThreadPoolExecutor(threads),
            interceptors=[TokenCheck(authorize)] if config.token_file else [],
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
        reflection.enable_server_reflection(
            [*SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME], self._grpc
        )
        self._open_ports(authorize)
        self.store.poll()

    def _open_ports(self, authorize):
        """Listen, and let calls wait."""
        config, pair = self.config, credentials(self.config)
        unix = [f"unix:{config.socket}"] if config.socket else []
        for address in [*unix, f"{config.host}:{config.port}"]:
            try:
                if pair is None:
                    self.port = self._grpc.add_insecure_port(address)
                else:
                    self.port = self._grpc.add_secure_port(address, pair)
            except RuntimeError as error:
                raise OSError(
                    f"`port` must be free and `socket` a new file. Received: {address}."
                ) from error
        if config.rest_port is None:
            return
        try:
            self._rest = RestServer(self.predictor, config, authorize)
        except OSError as error:
            self._grpc.stop(None)
            address = f"{config.host}:{config.rest_port}"
            raise OSError(f"`rest_port` must be free. Received: {address} ({error}).") from error
        self.rest_port = self._rest.port

    def start(self):
        """Answer, and look for new versions from now on."""
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
        deadline = time.monotonic() + self.config.drain_s
        self._health.enter_graceful_shutdown()
        stopped = self._grpc.stop(self.config.drain_s)
        if self._rest is not None:
            self._rest.stop(max(0.0, deadline - time.monotonic()))
        stopped.wait(max(0.0, deadline - time.monotonic()))
        self.predictor.scheduler.close(timeout_s=1.0)
        self.store.close(timeout_s=1.0)

    def serve_until_signal(self):
        """Start, wait for SIGTERM or SIGINT (from the main thread), and drain; another signal ends
        the process at once."""
        asked = queue.SimpleQueue()  # an Event deadlocks if the signal comes as `wait` begins
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda number, frame: asked.put(number))
        self.start()
        while True:
            with contextlib.suppress(queue.Empty):
                asked.get(timeout=0.5)  # a signal that another thread took ends no wait
                break
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        log.info("draining")
        self.stop()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exception):
        self.stop()

    def _set_health(self):
        """Serve only while every model has a version available; TF Serving does not look."""
        status = health_pb2.HealthCheckResponse
        ready = status.SERVING if self.store.ready() else status.NOT_SERVING
        for service in HEALTH_SERVICES:
            self._health.set(service, ready)

    def _report_health(self):
        while not self._stopping.wait(min(1.0, self.config.poll_s)):
            self._set_health()
