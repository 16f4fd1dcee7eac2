"""How to serve: one dataclass that the server and the flags of `tfstyle serve` share."""

from dataclasses import dataclass
from pathlib import Path

_LIMITS: dict[str, tuple[float, float]] = {}
_LIMITS |= dict.fromkeys(("port", "rest_port"), (0, 65535))
_LIMITS |= dict.fromkeys(("keep_versions", "batch_timeout_ms", "drain_s"), (0, 1e9))
_LIMITS |= dict.fromkeys(("max_batch_size", "workers", "max_queue"), (1, 10_000))
_LIMITS |= dict.fromkeys(("poll_s", "request_timeout_s", "idle_s"), (0.001, 1e9))  # not for ever
_LIMITS |= {"max_message_mb": (0.001, 2047), "max_megapixels": (0.001, 1e6)}


@dataclass(frozen=True, kw_only=True)
class ServeConfig:
    """Ports, limits and batching of the server. Raises `ValueError` for what cannot be used."""

    host: str = "127.0.0.1"
    """Address to listen on; 0.0.0.0 for every network: keep strangers out of it."""
    port: int = 8500
    """Port of gRPC; 0 takes a free one."""
    rest_port: int | None = 8501
    """Port of REST and metrics; 0 takes a free one, None serves gRPC alone."""
    keep_versions: int = 1
    """Newest versions of each model to serve, 0 for all; the label "stable" is the oldest of them,
    "canary" the newest. models.config has its own policy."""
    poll_s: float = 1.0
    """Seconds between looks for new versions."""
    max_batch_size: int = 4
    """Most pictures of one size to paint in one go; 1 turns batching off."""
    batch_timeout_ms: float = 0.0
    """Longest wait for more pictures of the same size; 0 joins what came while others ran."""
    workers: int = 3
    """Batches that run at once."""
    max_queue: int = 64
    """Requests that may wait; more are turned away with UNAVAILABLE."""
    request_timeout_s: float = 30.0
    """Longest wait in the queue, where a client's own deadline counts too, and longest run."""
    max_message_mb: float = 64.0
    """Largest request and response."""
    max_megapixels: float = 8.0
    """Largest request in pixels, a batch counted together; a megapixel takes about 0.5 GB."""
    drain_s: float = 30.0
    """Longest time to finish requests after SIGTERM."""
    ssl_key: Path | None = None
    """Private key, PEM; with it gRPC and REST speak TLS."""
    ssl_cert: Path | None = None
    """Certificate chain, PEM."""
    ssl_client_ca: Path | None = None
    """Certificates, PEM, one of which must have signed the certificate that a client shows."""
    token_file: Path | None = None
    """File of bearer tokens, one a line; who sends none of them is refused, but for health."""
    cors_origins: tuple[str, ...] = ()
    """Origins whose web pages may ask over REST, such as https://example.org, or '*'."""
    socket: Path | None = None
    """Unix socket for gRPC besides the port, made where it does not exist."""
    tensor_content: bool = False
    """Answer numbers over gRPC in `tensor_content`, faster to read, where TF Serving's default is
    one by one in `float_val`; its flag is --enable_serialization_as_tensor_content."""
    idle_s: float = 30.0
    """Longest time over REST for the headers of a request, and for a client that reads nothing."""

    def __post_init__(self):
        for name, (least, most) in _LIMITS.items():
            value = getattr(self, name)
            if value is not None and not least <= value <= most:
                raise ValueError(
                    f"`{name}` must be from {least:g} to {most:g}. Received: {name}={value}."
                )
        if (self.ssl_key is None) != (self.ssl_cert is None):
            raise ValueError(
                "`ssl_key` and `ssl_cert` must be given together. "
                f"Received: ssl_key={self.ssl_key}, ssl_cert={self.ssl_cert}."
            )
        if self.ssl_client_ca is not None and self.ssl_key is None:
            raise ValueError(
                "`ssl_client_ca` must come with `ssl_key` and `ssl_cert`. "
                f"Received: ssl_client_ca={self.ssl_client_ca}."
            )

    @property
    def max_message_bytes(self):
        """`max_message_mb` in bytes."""
        return int(self.max_message_mb * 2**20)

    @property
    def max_pixels(self):
        """`max_megapixels` in pixels."""
        return int(self.max_megapixels * 1e6)
