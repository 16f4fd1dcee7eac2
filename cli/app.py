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
    """Styles as `tfstyle export` takes them. Default: those that ship, and any painting. Each is
    prepared when the page first paints in it."""
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

        from tfstyle.export.app import hang_up, make_app
        from tfstyle.export.page import all_styles, model_writer

    listener = _listen(options.port)
    styles = list(options.styles) or all_styles()
    folder = _page(styles)
    write_model = model_writer(styles, folder)

    def write_quietly(file):
        with native_stderr_hidden():
            write_model(file)

    app = make_app(folder, write_quietly, load_tensorflow)
    address = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    print(f"the page is at {address}", flush=True)
    if options.browser:
        webbrowser.open(address)
    config = uvicorn.Config(
        app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    end = server.handle_exit

    def hang_up_and_end(*signal):
        hang_up(app)
        end(*signal)

    server.handle_exit = hang_up_and_end
    server.run(sockets=[listener])
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
    from tfstyle.export.page import fingerprint, publish_app

    folder = _cache() / f"page-{fingerprint(styles)}"
    if not (folder / "index.html").is_file():
        print("preparing the page, once", file=sys.stderr)
        load_tensorflow()
        with native_stderr_hidden():
            publish_app(styles, folder)
    return folder


def _cache():
    """Return the folder that systems keep for what can be made again."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "tfstyle"
