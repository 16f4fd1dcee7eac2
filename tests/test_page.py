"""The page as a person uses it, in a real browser. `make test-page` runs these; they need Chromium
and the packages `playwright` and `axe-playwright-python`."""

import base64
import functools
import http.server
import io
import shutil
import threading

import numpy as np
import pytest
from PIL import Image

import tfstyle
from tfstyle.export import page as export_page
from tfstyle.export import parity
from tfstyle.export.page import publish_page

pytestmark = pytest.mark.page

STYLES = ("wave", "mauclair", "edtaonisl", "any")
FLAGS = (
    "--no-sandbox --disable-gpu --disable-background-networking --disable-component-update "
    "--disable-sync --use-fake-device-for-media-stream --use-fake-ui-for-media-stream"
)


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Folder with the page as a folder, `page`, and as a file, `page.html`."""
    folder = tmp_path_factory.mktemp("pages")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parity, "SHIPPED_SIDES", (64,))
        patch.setattr(parity, "RUN_SECONDS", 0)
        patch.setattr(parity, "peak_memory_mb", lambda *_: 1.0)
        painters = functools.cache(export_page._painters)  # both have the same
        patch.setattr(export_page, "_painters", lambda *given: tuple(map(copy, painters(*given))))
        for output in (folder / "page", folder / "page.html"):
            publish_page(STYLES, output)
    return folder


def copy(value):
    return value.copy()


@pytest.fixture(scope="module")
def browser():
    api = pytest.importorskip("playwright.sync_api")
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
    if path is None:
        pytest.skip("there is no Chromium here: apt-get install chromium")
    with api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=FLAGS.split())
        yield started
        started.close()


@pytest.fixture(scope="module")
def host(pages):
    """Address of a plain static host of the folder."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = functools.partial(Quiet, directory=pages / "page")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


class Person:
    """Somebody who uses the page."""

    def __init__(self, page, address):
        self.page, self.faults = page, []
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("console", lambda m: m.type == "error" and self.faults.append(m.text))
        page.goto(address)
        self.wait()

    def wait(self):
        done = "#status:has-text('Painted'), #alert:not([hidden])"
        self.page.wait_for_selector(done, timeout=60_000)

    def after(self, act, *given, **options):
        """Do something, and wait until the picture is painted again."""
        self.page.evaluate("document.getElementById('status').textContent = ''")
        act(*given, **options)
        self.wait()

    def open(self, *files):
        self.after(self.page.set_input_files, "#photographs", [*map(upload, files)])

    def choose(self, title):
        self.after(self.page.click, f"#styles button:has-text('{title}')")

    def set(self, name, value):
        self.after(self.page.fill, f"#{name}", str(value))

    @property
    def alert(self):
        return self.page.inner_text("#alert") if self.page.is_visible("#alert") else ""

    def painted(self):
        """Return the pixels of the painted picture, RGBA."""
        return self.pixels("after")

    def pixels(self, canvas):
        url = self.page.evaluate(f"document.getElementById('{canvas}').toDataURL()")
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))))


def upload(file):
    if not isinstance(file, tuple):
        return file
    name, data = file
    return {"name": name, "mimeType": "image/*", "buffer": data}


@pytest.fixture
def visit(browser):
    """Function that opens the page at an address, with options of Playwright's contexts."""
    contexts = []

    def open_page(address, **options):
        contexts.append(browser.new_context(**options))
        return Person(contexts[-1].new_page(), str(address))

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture
def person(visit, pages):
    """Somebody who opened the one file by a double click."""
    return visit((pages / "page.html").as_uri())


def encoded(image, kind="PNG", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


LAKE = Image.open(export_page.PICTURES / "lake.jpg")
BRUSHWORK = Image.open(export_page.PICTURES / "brushwork.jpg")
EXIF = Image.Exif()
EXIF[0x0112] = 6  # to be turned by a quarter

SMALL = LAKE.resize((300, 200))
CLEAR = SMALL.copy()
CLEAR.putalpha(Image.radial_gradient("L").resize(SMALL.size))
PICTURES = {
    "small.png": encoded(SMALL),
    "odd.png": encoded(LAKE.crop((100, 90, 379, 328))),
    "wide.png": encoded(LAKE.crop((0, 300, 900, 361))),
    "tall.png": encoded(LAKE.crop((300, 10, 353, 610))),
    "tiny.png": encoded(LAKE.resize((17, 16))),
    "grey.png": encoded(SMALL.convert("L")),
    "clear.png": encoded(CLEAR),
    "photo.jpg": encoded(SMALL, "JPEG", quality=92),
    "turned.jpg": encoded(SMALL, "JPEG", quality=92, exif=EXIF),
    "photo.webp": encoded(SMALL, "WEBP", lossless=True),
}


def difference(painted, exact):
    """Return the largest difference in 1/255, both seen on white."""
    assert painted.shape[:2] == exact.size[::-1]
    painted, exact = (
        Image.alpha_composite(Image.new("RGBA", exact.size, "white"), image.convert("RGBA"))
        for image in (Image.fromarray(painted), exact)
    )
    return np.abs(np.asarray(painted, int) - np.asarray(exact, int)).max()


def test_ten_pictures_come_out_as_from_python(person):
    found = {}
    for name, data in PICTURES.items():
        person.open((name, data))
        found[name] = difference(person.painted(), tfstyle.stylize(data, "wave"))
    clear = found.pop("clear.png")  # a canvas rounds the colors of what is transparent
    assert max(found.values()) <= 2, found
    assert clear <= 5
    assert not person.faults
