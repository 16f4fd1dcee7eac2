"""The status of a request that failed, as gRPC and HTTP name it."""

import logging
from http import HTTPStatus

import grpc

log = logging.getLogger(__name__)

MAX_MESSAGE = 1024  # characters, as TF Serving cuts them
METRICS_PATH = "/monitoring/prometheus/metrics"  # on the REST port, here and there
READY_PATH = "/ready"

CODES = tuple(code.name for code in grpc.StatusCode)  # in the order of their numbers

_HTTP = {
    "CANCELLED": 499,
    "INVALID_ARGUMENT": HTTPStatus.BAD_REQUEST,
    "DEADLINE_EXCEEDED": HTTPStatus.GATEWAY_TIMEOUT,
    "NOT_FOUND": HTTPStatus.NOT_FOUND,
    "ALREADY_EXISTS": HTTPStatus.CONFLICT,
    "PERMISSION_DENIED": HTTPStatus.FORBIDDEN,
    "RESOURCE_EXHAUSTED": HTTPStatus.TOO_MANY_REQUESTS,
    "FAILED_PRECONDITION": HTTPStatus.BAD_REQUEST,
    "ABORTED": HTTPStatus.CONFLICT,
    "OUT_OF_RANGE": HTTPStatus.BAD_REQUEST,
    "UNIMPLEMENTED": HTTPStatus.NOT_IMPLEMENTED,
    "UNAVAILABLE": HTTPStatus.SERVICE_UNAVAILABLE,
    "UNAUTHENTICATED": HTTPStatus.UNAUTHORIZED,
}


class StatusError(Exception):
    """A request that cannot be answered.

    Args:
        code: One of `CODES`.
        message: What is wrong, for whoever sent the request; cut at `MAX_MESSAGE` characters.

    Raises:
        ValueError: If `code` is not one of `CODES`.
    """

    def __init__(self, code, message):
        if code not in CODES:
            raise ValueError(f"`code` must be one of {CODES}. Received: code={code!r}.")
        super().__init__(message)
        self.code = code
        self.message = message[:MAX_MESSAGE]

    @property
    def http_status(self):
        """Integer that TF Serving's REST interface answers with."""
        return int(_HTTP.get(self.code, HTTPStatus.INTERNAL_SERVER_ERROR))


def invalid(message):
    """Return the `StatusError` of a request that is wrong in itself."""
    return StatusError("INVALID_ARGUMENT", message)


def as_status(error):
    """Return any error as a `StatusError`; what should not happen is logged.

    It has no traceback, nor a cause that has one: whoever keeps it would keep all that the request
    held, and often in a circle.
    """
    if isinstance(error, StatusError):
        error.__cause__ = error.__context__ = None
        return error.with_traceback(None)
    if isinstance(error, MemoryError):
        return StatusError("RESOURCE_EXHAUSTED", "Out of memory")
    if isinstance(error, TimeoutError):
        return StatusError("DEADLINE_EXCEEDED", "The request did not come in time")
    log.error("a request failed unexpectedly", exc_info=error)
    return StatusError("INTERNAL", f"{type(error).__name__}: {error}")
