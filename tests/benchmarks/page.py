"""Seconds for a picture: the page in Chromium, and Python's LiteRT with the same file.

    python tests/benchmarks/page.py [--style wave --sizes 256 512 1024 --repeats 5]

Exports the page as a folder to a temporary one, serves it as `tfstyle app` does, so that it may use
threads, and as a plain host does, where it may not; paints in each the lake that ships, and prints
the median of what the worker took, without loading and compiling. Needs Chromium and `pip install
'.[page-test,app]'`.
"""

import argparse
import functools
import http.server
import re
import shutil
import statistics
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from playwright.sync_api import sync_playwright

from tfstyle.export.app import HEADERS
from tfstyle.export.litert import LiteRTPainter
from tfstyle.export.page import PHOTOGRAPH, PICTURES, publish_page
from tfstyle.pictures import read_image, resize, save_image, to_pil


def serve(folder, headers):
    """Return the address of a server of a folder."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def end_headers(self):
            for name, value in headers.items():
                self.send_header(name, value)
            super().end_headers()

        def log_message(self, *_):
            pass

    handler = functools.partial(Handler, directory=folder)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}/"


def in_page(page, photograph, repeats):
    """Return the median of what the page says that painting took, in seconds."""
    taken = []
    for _ in range(repeats + 1):
        page.evaluate("document.getElementById('status').textContent = ''")
        page.set_input_files("#photographs", photograph)
        page.wait_for_selector("#status:has-text(' in ')", timeout=120_000)
        taken.append(float(re.search(r"in ([\d.]+) s", page.inner_text("#status"))[1]))
    return statistics.median(taken[1:])  # the first compiles


def in_python(painter, image, repeats):
    painter(image)
    taken = []
    for _ in range(repeats):
        begun = time.perf_counter()
        painter(image)
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--style", default="wave")
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512, 1024])
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        folder = Path(folder)
        publish_page([options.style], folder / "page")
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        pages = {"page, threads": browser.new_page(), "page": browser.new_page()}
        for page, headers in zip(pages.values(), (HEADERS, {}), strict=True):
            page.goto(serve(folder / "page", headers))
            page.wait_for_selector("#status:has-text('Painted')", timeout=120_000)
        model = next((folder / "page/models").glob("*.tflite"))
        for size in options.sizes:
            image = resize(read_image(PICTURES / PHOTOGRAPH).rgb, size)
            photograph = folder / f"{size}.png"
            save_image(to_pil(image), photograph)
            for threads in (1, 2):
                painter = LiteRTPainter(model, threads)
                seconds = in_python(painter, np.float32(image), options.repeats)
                print(f"{size:>5} px  Python, {threads} threads  {seconds:6.2f} s", flush=True)
            for name, page in pages.items():
                seconds = in_page(page, photograph, options.repeats)
                print(f"{size:>5} px  {name:<17}  {seconds:6.2f} s", flush=True)
        browser.close()


if __name__ == "__main__":
    main()
