"""`tfstyle app`: the page in one's own browser, with Python behind it."""

import os
import socket
import sys
import webbrowser
from dataclasses import dataclass
from pathlib import Path

import tyro

from tfstyle.cli import flags
from tfstyle.cli.quiet import load_tensorflow, native_stderr_hidden
from tfstyle.painting.instant import style_for


@dataclass(frozen=True, kw_only=True)
class App:
    """Paint in the browser, on this machine alone. Ctrl-C ends it."""

    styles: tyro.conf.Positional[tuple[str, ...]] = ()
    """Styles as `tfstyle export` takes them. Default: those that ship, and any painting. The first
    start with them takes a minute."""
    port: int = 8600
    """Port on this machine; 0 takes a free one."""
    browser: bool = True
    """Open the page in the browser."""


def run(arguments):
    """Serve the page until Ctrl-C; return the exit code."""
    options = flags.parse(App, "tfstyle app", arguments, words="styles")
    for style in options.styles:
        style_for(style)
    if not 0 <= options.port <= 65535:
        raise ValueError(f"`port` must be 0 to 65535. Received: port={options.port}.")
    with flags.extra("app"):
        import uvicorn

        from tfstyle.export.app import make_app

    listener = _listen(options.port)
    app = make_app(_page(options.styles))
    address = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    print(f"the page is at {address}", flush=True)
    if options.browser:
        webbrowser.open(address)
    config = uvicorn.Config(
        app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=1
    )
    uvicorn.Server(config).run(sockets=[listener])
    return 0


def _listen(port):
    try:
        return socket.create_server(("127.0.0.1", port))
    except OSError as error:
        raise OSError(
            f"Port {port} cannot be had ({error.strerror}). Choose another: --port 0 takes a free "
            "one."
        ) from error


def _page(styles):
    """Return the folder of the page with some styles, made when they are first asked for."""
    load_tensorflow()
    with flags.extra("app"):
        from tfstyle.export import page

    styles = list(styles) or page.all_styles()
    folder = _cache() / f"page-{page.fingerprint(styles)}"
    if not (folder / "index.html").is_file():
        print("preparing the styles, once; this takes a minute", file=sys.stderr)
        folder.mkdir(parents=True, exist_ok=True)
        with native_stderr_hidden():
            page.publish_page(styles, folder, app=True)
    return folder


def _cache():
    """Return the folder that systems keep for what can be made again."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "tfstyle"
