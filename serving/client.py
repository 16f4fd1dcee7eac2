"""StyleClient: send pictures to a server of styles, TF Serving or `tfstyle serve`."""

import collections
import concurrent.futures
import contextlib
import io
import itertools
import os
import random
import re
import time
from pathlib import Path

# Where a film is made in this process, too, gRPC's fork handlers would reach into FFmpeg's process
# and break its pipes.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

import grpc
import numpy as np
from PIL import Image

from tfstyle.config import CODE_SIDE
from tfstyle.pictures import read_image, read_plain_jpeg, resize, to_pil
from tfstyle.serving.wire import (
    PREDICT,
    PredictRequest,
    PredictResponse,
    read_tensor,
    write_tensor,
)

DEFAULT_PORT = 8500
FIRST_WAIT_S, LONGEST_WAIT_S = 0.1, 5.0
MAX_SIDE = 2**14


class ServerError(OSError):
    """A server that could not be reached, or refused.

    Attributes:
        code: Name of the gRPC status, such as "NOT_FOUND".
        message: What the server said.
    """

    def __init__(self, code, message):
        super().__init__(f"The server answered {code}: {message}")
        self.code, self.message = code, message


class StyleClient:
    """A connection to a server of styles. Use it in `with`, or `close` it; threads may share it.

    Args:
        server: "host" or "host:port"; "dns:///host:port" takes turns among all addresses of a
            host, and "unix:path" names a Unix socket.
        signature: "stylize_bytes", which sends files and gets JPEG back, or PNG of a model that was
            exported so; or "serving_default", which sends and gets floats, exact but three times
            as much and more.
        timeout_s: Longest time for a picture in seconds, retries included.
        retries: How often a picture is sent again that a server was UNAVAILABLE for.
        max_message_mb: Largest message either way.
        ssl: Whether to speak TLS.
        ssl_root: Path of the certificates to trust, PEM. Default: those that gRPC ships. Turns TLS
            on.
        ssl_pair: Paths of the client's own key and certificate, PEM, where the server asks for
            them. Turns TLS on.
        token: Bearer token that goes with each request; demands TLS.

    Raises:
        ValueError: If a value cannot be used.
        OSError: If a file cannot be read.
    """

    def __init__(
        self,
        server,
        *,
        signature="stylize_bytes",
        timeout_s=60.0,
        retries=4,
        max_message_mb=256.0,
        ssl=False,
        ssl_root=None,
        ssl_pair=(),
        token=None,
    ):
        by_scheme = re.fullmatch(r"(dns:///[^/]+:\d+|unix:.+)", server)
        if not by_scheme and (not server or "/" in server):
            raise ValueError(
                "`server` must be HOST or HOST:PORT, or begin with dns:/// or unix:. "
                f"Received: {server!r}."
            )
        if signature not in SIGNATURES:
            raise ValueError(
                f"`signature` must be one of {tuple(SIGNATURES)}. Received: {signature!r}."
            )
        for name, value in (("timeout_s", timeout_s), ("max_message_mb", max_message_mb)):
            if not 0 < value < 1e9:
                raise ValueError(
                    f"`{name}` must be positive and under 1e9. Received: {name}={value}."
                )
        if retries < 0:
            raise ValueError(f"`retries` must be at least 0. Received: retries={retries}.")
        ssl = ssl or ssl_root is not None or bool(ssl_pair)
        if token is not None and not ssl:
            raise ValueError("`token` must go over TLS, or anyone can read it. Pass ssl=True.")
        self._signature, self._timeout_s, self._retries = signature, timeout_s, retries
        self._metadata = [("authorization", f"Bearer {token}")] if token is not None else None
        size = min(int(max_message_mb * 2**20), 2**31 - 1)
        options: list[tuple[str, int | str]] = [
            ("grpc.max_send_message_length", size),
            ("grpc.max_receive_message_length", size),  # 4 MB by default
            ("grpc.enable_retries", 0),  # retried here, where the deadline is known
        ]
        if server.startswith("dns:"):
            options.append(("grpc.lb_policy_name", "round_robin"))
        self._server = server
        port_given = by_scheme or server.rpartition("]")[2].count(":") == 1
        address = server if port_given else f"{server}:{DEFAULT_PORT}"
        if ssl:
            pems = [path and Path(path).read_bytes() for path in (ssl_root, *ssl_pair)]
            credentials = grpc.ssl_channel_credentials(*pems)
            self._channel = grpc.secure_channel(address, credentials, options)
        else:
            self._channel = grpc.insecure_channel(address, options)
        self._predict = self._channel.unary_unary(
            PREDICT,
            request_serializer=PredictRequest.SerializeToString,
            response_deserializer=PredictResponse.FromString,
        )

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def close(self):
        """Close the connection."""
        self._channel.close()

    def stylize(
        self,
        picture,
        style,
        *,
        painting=None,
        version=None,
        label=None,
        size=None,
        style_weights=None,
    ):
        """Paint a picture on the server.

        Args:
            picture: A path, bytes, a binary file, a PIL image or an array; details at
                `tfstyle.pictures.read_image`. As a file, a JPEG of upright sRGB goes as it is, with
                its metadata; all else is turned upright and goes as PNG.
            style: Name of the model on the server.
            painting: Painting to paint after, in the forms of `picture`, for a model of any style.
            version: Number of its version. Default: the newest.
            label: Label of its version, such as "stable", instead.
            size: Long side in pixels to reduce a larger picture to first. Default: none.
            style_weights: A weight for each style of a model that was exported with several.

        Returns:
            `PIL.Image.Image`, RGB, or RGBA where the picture has transparent parts.

        Raises:
            FileNotFoundError: If there is no file at the path.
            ValueError: If the picture cannot be read, or a value cannot be used.
            TypeError: If `picture` is of another type.
            ServerError: If the server could not be reached in time, or refused.
        """
        if version is not None and label is not None:
            raise ValueError(
                "Give `version` or `label`, not both. "
                f"Received: version={version}, label={label!r}."
            )
        if size is not None and size < 1:
            raise ValueError(f"`size` must be at least 1. Received: size={size}.")
        _, output, _, read = SIGNATURES[self._signature]
        request = PredictRequest()
        alpha = self._write(request, picture, size)
        if painting is not None:
            self._write(request, painting, CODE_SIDE, "painting")
        request.model_spec.name = style
        request.model_spec.signature_name = self._signature
        if version is not None:
            request.model_spec.version.value = version
        if label is not None:
            request.model_spec.version_label = label
        if style_weights is not None:
            weights = np.array([style_weights], np.float32)
            if weights.ndim != 2:
                raise ValueError(
                    "`style_weights` must be a list of numbers. "
                    f"Received: style_weights={style_weights!r}."
                )
            write_tensor(request.inputs["style_weights"], weights)
        response = self._call(request)
        if output not in response.outputs:
            raise ServerError("INTERNAL", f"the answer lacks the output {output}")
        try:
            painted = read(read_tensor(response.outputs[output]))
        except Exception as error:  # Pillow's decoders raise anything on damaged data
            raise ServerError("INTERNAL", f"the answer is no picture: {error}") from error
        if alpha is None:
            return painted
        levels = resize(alpha, painted.size[::-1])
        painted.putalpha(Image.fromarray((levels * 255).round().astype(np.uint8)))
        return painted

    def _write(self, request, picture, size, kind="image"):
        """Put a picture into a request; return its alpha."""
        name, _, write, _ = SIGNATURES[self._signature]
        file = read_plain_jpeg(picture, size) if write is _to_png else None
        if file is not None:
            value, alpha = [file], None
        else:
            rgb, alpha = read_image(picture)
            if size is not None and max(rgb.shape) > size:
                rgb = resize(rgb, size)
                alpha = None if alpha is None else resize(alpha, rgb.shape[:2])
            value = write(rgb)
        write_tensor(request.inputs[name.replace("image", kind)], value)
        return alpha

    def stylize_many(self, pictures, style, *, workers=4, errors="raise", **options):
        """Paint many pictures, some at a time, and give the results in order as they come.

        Args:
            pictures: Iterable of pictures; read no further ahead than the work needs.
            style: As for `stylize`.
            workers: Pictures on their way at once.
            errors: "raise" what goes wrong, or "return" it in the place of the result.
            **options: Of `stylize`: `painting`, `version`, `label`, `size`, `style_weights`.

        Yields:
            `PIL.Image.Image`, or an exception with `errors="return"`.

        Raises:
            ValueError: If `workers` or `errors` cannot be used.
            Exception: What `stylize` raises.
        """
        if workers < 1:
            raise ValueError(f"`workers` must be at least 1. Received: workers={workers}.")
        if errors not in ("raise", "return"):
            raise ValueError(f"`errors` must be 'raise' or 'return'. Received: {errors!r}.")
        return self._stylize_many(pictures, style, workers, errors, options)

    def _stylize_many(self, pictures, style, workers, errors, options):
        with contextlib.ExitStack() as stack:
            pool = concurrent.futures.ThreadPoolExecutor(workers)
            stack.callback(pool.shutdown, cancel_futures=True)
            pending = collections.deque()
            pictures = iter(pictures)
            while True:
                for picture in itertools.islice(pictures, 2 * workers - len(pending)):
                    pending.append(pool.submit(self.stylize, picture, style, **options))
                if not pending:
                    return
                future = pending.popleft()
                error = future.exception()
                if error is not None and (
                    errors == "raise" or not isinstance(error, (ValueError, TypeError, OSError))
                ):
                    raise error
                yield future.result() if error is None else error

    def _call(self, request):
        """Send a request; again while the server is UNAVAILABLE and there is time."""
        deadline = time.monotonic() + self._timeout_s
        wait_s, left = FIRST_WAIT_S, self._retries
        while True:
            try:
                return self._predict(
                    request,
                    timeout=max(0.0, deadline - time.monotonic()),
                    metadata=self._metadata,
                )
            except grpc.RpcError as error:
                pause_s = wait_s * random.uniform(0.5, 1.0)
                late = time.monotonic() + pause_s >= deadline
                if error.code() != grpc.StatusCode.UNAVAILABLE or not left or late:
                    raise ServerError(error.code().name, self._told(error)) from error
            time.sleep(pause_s)
            wait_s, left = min(2 * wait_s, LONGEST_WAIT_S), left - 1

    def _told(self, error):
        if "Connection refused" not in error.details():
            return error.details()
        return (
            f"nothing listens at {self._server}. Start a server there (tfstyle serve models/), or "
            "let `server` name another"
        )


def _to_png(rgb):
    """Write a picture as PNG, fast rather than small."""
    file = io.BytesIO()
    to_pil(rgb).save(file, "PNG", compress_level=1)
    return [file.getvalue()]


def _from_file(files):
    image = Image.open(io.BytesIO(files[0]), formats=("PNG", "JPEG"))
    if max(image.size) > MAX_SIDE:
        raise ValueError(f"it has {image.size[0]} × {image.size[1]} pixels")
    return image.convert("RGB")


# signature: name of input, of output, from float picture to tensor, from tensor to PIL image.
SIGNATURES = {
    "stylize_bytes": ("image_bytes", "stylized_bytes", _to_png, _from_file),
    "serving_default": ("image", "stylized", lambda rgb: rgb[np.newaxis], to_pil),
}
