"""The page as a person uses it, in real browsers. `make test-page` runs these; they need Chromium,
Firefox and the packages of the extra `page-test`."""

import base64
import functools
import http.server
import io
import itertools
import shutil
import socket
import subprocess
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest
from bidi import firefox
from PIL import Image

import tfstyle
from tfstyle.export import page as export_page
from tfstyle.export import parity
from tfstyle.export.page import publish_app, publish_page
from tfstyle.export.report import Report

pytestmark = pytest.mark.page

STYLES = ("wave", "wheat_field", "edtaonisl", "any")
FLAGS = (
    "--no-sandbox --disable-gpu --disable-background-networking --disable-component-update "
    "--disable-sync --use-fake-device-for-media-stream --use-fake-ui-for-media-stream"
)


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Folder with the page as a folder, `page`, and as a file, `page.html`."""
    folder = tmp_path_factory.mktemp("pages")
    with pytest.MonkeyPatch.context() as patch:
        compared = Report(
            export="", metadata={}, file_bytes=0, memory_mb=None, warmup_requests=0, rows=()
        )
        patch.setattr(parity, "verify", lambda *_: compared)  # pixels are compared below
        patch.setattr(export_page, "_painters", functools.cache(export_page._painters))
        for output in (folder / "page", folder / "page.html"):
            publish_page(STYLES, output)
    return folder


@pytest.fixture(scope="module")
def browser():
    api = pytest.importorskip("playwright.sync_api")
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
    if path is None:
        pytest.skip("there is no Chromium here: apt-get install chromium")
    with api.sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=path, args=FLAGS.split(), timeout=60_000
        )
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
    def focused(self):
        return self.page.evaluate("document.activeElement.title")

    @property
    def chosen(self):
        return self.page.locator("#styles [aria-pressed=true]").all_inner_texts()

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

    def open_page(address, *, script="", **options):
        contexts.append(browser.new_context(**options))
        contexts[-1].add_init_script(script)
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


def test_any_painting_comes_out_as_from_python(person):
    person.open(("small.png", PICTURES["small.png"]))
    painting = encoded(BRUSHWORK.resize((700, 460)))
    person.after(person.page.set_input_files, "#paintings", upload(("My night.png", painting)))
    assert person.chosen == ["My night"]
    exact = tfstyle.stylize(PICTURES["small.png"], painting, "instant")
    assert difference(person.painted(), exact) <= 2
    person.set("strength", 60)
    exact = tfstyle.stylize(PICTURES["small.png"], painting, "instant", strength=0.6)
    assert difference(person.painted(), exact) <= 2


def test_controls_do_what_flags_do(person):
    person.open(("lake.png", encoded(LAKE)))
    person.after(person.page.select_option, "#size", "512")
    person.set("strength", 40)
    person.set("stroke", 5)
    assert person.page.inner_text("#stroke-out") == "2×"
    person.after(person.page.check, "#colors")
    exact = tfstyle.stylize(
        encoded(LAKE), "wave", size=512, strength=0.4, stroke_size=2.0, color="content"
    )
    assert difference(person.painted(), exact) <= 2


def test_styles_mix_on_a_pad(visit, host):
    person = visit(host)
    person.open(("small.png", PICTURES["small.png"]))
    person.page.check("#mix")
    person.choose("Edtaonisl")
    knob = person.page.get_by_role("slider", name="Mixture")
    assert knob.get_attribute("aria-valuetext") == "Wheat Field 50 %, Edtaonisl 50 %"
    exact = tfstyle.stylize(PICTURES["small.png"], "wheat_field", style_weights=[0, 0.5, 0.5, 0])
    assert difference(person.painted(), exact) <= 2
    for _ in range(20):
        knob.press("ArrowRight")
    person.after(knob.press, "ArrowRight")
    assert knob.get_attribute("aria-valuetext") == "Wheat Field 0 %, Edtaonisl 100 %"
    assert difference(person.painted(), tfstyle.stylize(PICTURES["small.png"], "edtaonisl")) <= 2
    box = person.page.locator(".field").bounding_box()
    person.after(person.page.mouse.click, box["x"] + 2, box["y"] + box["height"] / 2)
    assert knob.get_attribute("aria-valuetext") == "Wheat Field 100 %, Edtaonisl 0 %"
    assert person.page.is_disabled("#styles button:has-text('Wave')")


def test_large_pictures_are_painted_in_pieces(person):
    large = LAKE.resize((2600, 1700), Image.Resampling.BICUBIC)
    data = encoded(large, "JPEG", quality=95)
    person.open(("large.jpg", data))
    assert person.painted().shape[:2] == (670, 1024)  # until somebody wants more
    options = person.page.locator("#size option").all_inner_texts()
    assert options[-1].startswith("2600 × 1700, full size, about")
    person.after(person.page.select_option, "#size", "2600")
    painted = person.painted()[..., :3].astype(float)
    error = painted - np.asarray(tfstyle.stylize(data, "wave"), float)
    assert np.abs(error).mean() < 3
    seams = np.abs(np.diff(error, axis=1)).mean((0, 2))
    assert seams[767] < 1.3 * np.median(seams)  # where pieces meet


def test_pictures_are_downloaded_as_they_are_shown(person):
    person.open(("my cat.png", PICTURES["small.png"]))
    exact = tfstyle.stylize(PICTURES["small.png"], "wave")
    for kind, tolerance in (("png", 2), ("jpeg", 80)):
        person.page.select_option("#format", kind)
        with person.page.expect_download() as download:
            person.page.click("#save")
        file = download.value
        assert file.suggested_filename == f"my cat-wave.{kind.replace('e', '')}"
        assert difference(np.asarray(Image.open(file.path())), exact) <= tolerance


def test_several_photographs_become_a_zip(person):
    person.open(("a.png", PICTURES["small.png"]), ("b.png", PICTURES["odd.png"]))
    person.after(person.page.get_by_role("button", name="b.png", exact=True).click)
    assert person.painted().shape[:2] == (238, 279)
    with person.page.expect_download() as download:
        person.page.click("#save-all")
    with zipfile.ZipFile(download.value.path()) as archive:
        assert archive.namelist() == ["a-wave.png", "b-wave.png"]
        second = np.asarray(Image.open(archive.open("b-wave.png")))
    assert difference(second, tfstyle.stylize(PICTURES["odd.png"], "wave")) <= 2
    person.page.wait_for_selector("#status:has-text('2 pictures are in the zip')")
    assert person.painted().shape[:2] == (238, 279)  # what was shown before


def test_pictures_are_taken_away_again(person):
    person.open(("a.png", PICTURES["small.png"]), ("b.png", PICTURES["odd.png"]))
    remove = person.page.get_by_role("button", name="Remove")
    person.after(remove.nth(0).click)
    assert person.painted().shape[:2] == (238, 279)
    assert person.focused == "b.png"
    assert not person.page.is_visible("#save-all")
    person.after(remove.nth(0).press, "Enter")
    assert person.painted().shape[:2] == (640, 960)  # the sample
    assert not person.page.is_visible("#shelf")
    painting = upload(("night.png", PICTURES["small.png"]))
    person.after(person.page.set_input_files, "#paintings", painting)
    assert person.chosen == ["night"]
    person.after(remove.click)
    assert person.chosen == ["Brushwork"]
    assert person.focused == "Brushwork"
    assert person.page.locator("#styles button:has-text('night')").count() == 0


BROKEN = {
    "empty.jpg": b"",
    "text.jpg": b"no picture",
    "cut.jpg": PICTURES["photo.jpg"][:90],
    "flat.png": encoded(Image.new("RGB", (40, 5))),
    "drawing.svg": b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
}


def test_what_is_no_picture_is_told_in_words(person):
    for name, data in BROKEN.items():
        person.open((name, data))
        assert person.alert.startswith(f"{name}: ")
        assert "picture" in person.alert
    person.page.set_input_files("#photographs", [*map(upload, BROKEN.items())])
    person.page.wait_for_selector("#alert:has-text('… and 1 more')")
    person.page.set_input_files(
        "#photographs", [upload(("broken.jpg", b"")), upload(("odd.png", PICTURES["odd.png"]))]
    )
    person.page.wait_for_function("() => document.getElementById('after').width === 279")
    assert person.alert.startswith("broken.jpg: ")  # though the other one was painted
    person.open(("small.png", PICTURES["small.png"]))
    assert person.alert == ""
    assert person.painted().shape[:2] == (200, 300)


def test_odd_pictures_and_names_come_out_as_from_python(person):
    frames = [SMALL.resize((60, 40)), SMALL.rotate(180).resize((60, 40))]
    deep = Image.fromarray(np.asarray(SMALL.convert("L"), np.uint16) * 257)
    pictures = {
        "<img src=x onerror=alert(1)>.jpg": encoded(SMALL.convert("CMYK"), "JPEG"),
        ".png": encoded(deep),
        "moving.gif": encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]),
        "moving.webp": encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:]),
    }
    for name, data in pictures.items():
        person.open((name, data))
        assert difference(person.painted(), tfstyle.stylize(data, "wave")) <= 2, name
    person.open(("long.png", encoded(LAKE.resize((9000, 20)))))
    assert person.painted().shape[:2] == (20, 9000)  # smaller, it were too flat
    assert person.alert == ""
    names = person.page.locator("#tiles button:not(.remove)").evaluate_all(
        "(tiles) => tiles.map((tile) => tile.ariaLabel)"
    )
    assert names == [*pictures, "long.png"]
    with person.page.expect_download() as download:
        person.page.click("#save")
    assert download.value.suggested_filename == "long-wave.png"
    assert not person.faults


@pytest.mark.parametrize("kind", ["webm", "mp4"])
def test_a_short_film_is_painted_and_recorded(person, tmp_path, kind):
    film = clip(tmp_path / f"clip.{kind}", seconds=1)
    person.page.click("#tools")  # the sound of what nobody touched stays off
    with person.page.expect_download(timeout=60_000) as download:
        person.page.set_input_files("#photographs", film)
    assert download.value.suggested_filename in ("clip-wave.mp4", "clip-wave.webm")
    result = tmp_path / download.value.suggested_filename
    download.value.save_as(result)
    _, properties = probe(result)
    assert properties["size"] == (160, 90)
    assert 0.8 < properties["duration"] < 3
    assert properties["audio_codec"]
    first = np.asarray(next(frames_of(result)))
    exact = np.asarray(tfstyle.stylize(encoded(next(frames_of(film))), "wave"))
    assert np.abs(first.astype(float) - exact).mean() < 20
    person.page.wait_for_selector("#status:has-text('The film is painted: clip-wave')")
    assert person.painted().shape[:2] == (640, 960)
    assert not person.faults


def test_films_that_cannot_be_painted_here_are_refused_in_words(person, tmp_path):
    person.open(("broken.mp4", b"no film"))
    assert 'tfstyle video "broken.mp4" wave' in person.alert
    person.open(("x.png", PICTURES["small.png"]))
    person.open(str(clip(tmp_path / "long.webm", seconds=61, rate=1)))
    assert "up to 60 seconds" in person.alert
    assert 'tfstyle video "long.webm" wave' in person.alert


def test_a_film_can_be_cancelled_and_nothing_else_is_done_meanwhile(person, tmp_path):
    person.page.set_input_files("#photographs", clip(tmp_path / "clip.webm", seconds=20))
    person.page.wait_for_selector("#doing:has-text('of 300')")
    assert person.page.evaluate("document.getElementById('panel').inert")
    person.page.set_input_files("#photographs", upload(("small.png", PICTURES["small.png"])))
    person.page.wait_for_selector("#alert:has-text('or cancel it')")
    person.page.dblclick("#cancel")
    person.page.wait_for_selector("#status:has-text('Cancelled')")
    person.open(("small.png", PICTURES["small.png"]))
    assert difference(person.painted(), tfstyle.stylize(PICTURES["small.png"], "wave")) <= 2


def clip(path, *, seconds, rate=15):
    """Write a film with sound."""
    ffmpeg = pytest.importorskip("imageio_ffmpeg").get_ffmpeg_exe()
    codecs = "-c:v libvpx -c:a libvorbis" if path.suffix == ".webm" else "-c:v libx264 -c:a aac"
    sources = (
        f"-f lavfi -i testsrc=size=160x90:rate={rate}:duration={seconds} "
        f"-f lavfi -i sine=duration={seconds} -pix_fmt yuv420p"
    )
    subprocess.run([ffmpeg, "-v", "error", *f"{sources} {codecs}".split(), path], check=True)
    return path


def probe(path):
    reader = pytest.importorskip("imageio_ffmpeg").read_frames(str(path))
    properties = next(reader)
    return reader, properties


def frames_of(path):
    reader, properties = probe(path)
    for frame in reader:
        yield Image.frombytes("RGB", properties["size"], frame)


def test_a_picture_is_copied(visit, host):
    person = visit(host, permissions=["clipboard-read", "clipboard-write"])
    person.open(("small.png", PICTURES["small.png"]))
    person.page.click("#copy")
    person.page.wait_for_selector("#status:has-text('in the clipboard')")
    read = """async () => {
        const [item] = await navigator.clipboard.read();
        const bytes = new Uint8Array(await (await item.getType("image/png")).arrayBuffer());
        return [...bytes];
    }"""
    copied = np.asarray(Image.open(io.BytesIO(bytes(person.page.evaluate(read)))))
    assert difference(copied, tfstyle.stylize(PICTURES["small.png"], "wave")) <= 2


def test_a_picture_is_shared_where_there_is_something_to_share_with(visit, host):
    stub = """
        navigator.canShare = ({ files }) => files.length === 1;
        navigator.share = ({ files }) => {
            if (window.refused) return Promise.reject(new DOMException("no", "AbortError"));
            window.shared = files[0];
            return Promise.resolve();
        };
    """
    person = visit(host, script=stub)
    person.open(("my cat.png", PICTURES["small.png"]))
    person.page.click("#share")
    person.page.wait_for_function("() => window.shared")
    assert person.page.evaluate("[shared.name, shared.type]") == ["my cat.jpg", "image/jpeg"]
    person.page.evaluate("window.refused = true")
    person.page.click("#share")
    assert person.alert == ""


def test_what_is_downloaded_is_what_was_chosen_last(person):
    person.open(("small.png", PICTURES["small.png"]))
    person.page.click("#styles button:has-text('Edtaonisl')")
    with person.page.expect_download() as download:
        person.page.click("#save")
    assert download.value.suggested_filename == "small-edtaonisl.png"
    painted = np.asarray(Image.open(download.value.path()))
    assert difference(painted, tfstyle.stylize(PICTURES["small.png"], "edtaonisl")) <= 2


def test_many_quick_changes_end_with_the_last(person):
    person.open(("small.png", PICTURES["small.png"]))
    styles = person.page.locator("#styles button:not(.remove)")
    for i in [0, 1, 2, 3, 2, 1, 0, 1, 2]:
        styles.nth(i).click()
    person.set("strength", 50)
    person.after(person.page.click, "#styles button:has-text('Edtaonisl')")
    exact = tfstyle.stylize(PICTURES["small.png"], "edtaonisl", strength=0.5)
    assert difference(person.painted(), exact) <= 2
    assert not person.faults


def test_pictures_are_dropped_and_pasted(person):
    make = """([data, name]) => {
        const transfer = new DataTransfer();
        const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
        transfer.items.add(new File([bytes], name, { type: "image/png" }));
        return transfer;
    }"""

    def give(name, kind, target):
        data = base64.b64encode(PICTURES[name]).decode()
        transfer = person.page.evaluate_handle(make, [data, name])
        key = "clipboardData" if kind == "paste" else "dataTransfer"
        event = """([transfer, kind, key, target]) => {
            const options = { bubbles: true, cancelable: true, [key]: transfer };
            const Kind = kind === "paste" ? ClipboardEvent : DragEvent;
            document.querySelector(target).dispatchEvent(new Kind(kind, options));
        }"""
        person.page.evaluate(event, [transfer, kind, key, target])

    give("odd.png", "dragenter", "body")
    assert person.page.is_visible("#drop")
    person.after(give, "odd.png", "drop", "#drop [data-as=photograph]")
    assert person.painted().shape[:2] == (238, 279)
    assert not person.page.is_visible("#drop")
    person.after(give, "small.png", "drop", "#drop [data-as=painting]")
    assert person.chosen == ["small"]
    person.after(give, "tall.png", "paste", "body")
    assert person.painted().shape[:2] == (600, 53)


def test_the_camera_is_painted_live(visit, host):
    person = visit(host, permissions=["camera"])
    person.page.click("#camera")
    person.page.wait_for_selector(".live-view #after", state="attached")
    person.page.wait_for_function("() => document.getElementById('after').width === 320")
    person.page.click("#record")
    person.page.wait_for_timeout(1000)
    with person.page.expect_download() as download:
        person.page.click("#record")
    head = Path(download.value.path()).read_bytes()[:8]
    assert head[:4] == b"\x1a\x45\xdf\xa3" or head[4:] == b"ftyp"  # of WebM or MP4
    person.page.dblclick("#camera")
    person.page.wait_for_selector("#live", state="visible")
    person.page.click("#snap")
    person.page.wait_for_function("() => document.getElementById('after').width === 1024")
    assert person.page.locator(".live-view").count() == 0
    assert not person.faults


def test_nothing_leaves_the_device_and_the_page_opens_offline(visit, host):
    person = visit(host)
    person.page.evaluate("navigator.serviceWorker.ready.then(() => null)")
    seen = []
    person.page.on("request", lambda request: seen.append(request.url))
    person.page.context.set_offline(True)
    person.page.reload()
    person.wait()
    person.open(("small.png", PICTURES["small.png"]))
    assert difference(person.painted(), tfstyle.stylize(PICTURES["small.png"], "wave")) <= 2
    assert all(url.startswith((host, "blob:", "data:")) for url in seen)


def test_the_one_file_connects_nowhere(person):
    blocked = "() => fetch('https://example.org').then(() => 'sent', (error) => error.message)"
    assert "sent" not in person.page.evaluate(blocked)
    assert any("Content Security Policy" in fault for fault in person.faults)


def test_painting_can_be_cancelled(person):
    person.open(("large.jpg", encoded(LAKE.resize((2600, 1700)), "JPEG")))
    person.page.select_option("#size", "2600")
    person.page.click("#cancel")
    person.page.wait_for_selector("#status:has-text('Cancelled')")
    person.open(("small.png", PICTURES["small.png"]))
    assert difference(person.painted(), tfstyle.stylize(PICTURES["small.png"], "wave")) <= 2


def test_a_phone_asks_for_a_photograph_first(visit, pages):
    phone = {"viewport": {"width": 390, "height": 844}, "has_touch": True}
    person = visit((pages / "page.html").as_uri(), **phone)
    assert person.page.inner_text("#choose") == "Open photograph"
    assert not person.page.is_visible("#save")
    person.open(("small.png", PICTURES["small.png"]))
    person.page.tap("#styles button:has-text('Wheat Field')")
    with person.page.expect_download() as download:
        person.page.tap("#save")
    assert download.value.suggested_filename == "small-wheat_field.png"


def test_the_divider_follows_keys(person):
    person.page.focus("#divider")
    person.page.keyboard.press("End")
    assert person.page.evaluate("getComputedStyle(document.getElementById('after')).clipPath") == (
        "inset(0px 0px 0px 100%)"
    )


def test_styles_are_chosen_by_keys(visit, host):
    person = visit(host)
    person.page.focus("#styles button >> nth=1")
    person.after(person.page.keyboard.press, "Enter")
    assert person.chosen == ["Wheat Field"]


def test_the_page_is_accessible(visit, pages):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    person = visit((pages / "page.html").as_uri(), bypass_csp=True)
    person.open(("a.png", PICTURES["small.png"]), ("b.png", PICTURES["odd.png"]))
    person.after(
        person.page.set_input_files, "#paintings", upload(("night.png", PICTURES["odd.png"]))
    )
    for scheme, (width, height) in itertools.product(
        ("light", "dark"), ((1440, 900), (720, 450), (390, 844))
    ):  # 720 × 450 is the first at a zoom of 200 %
        person.page.emulate_media(color_scheme=scheme)
        person.page.set_viewport_size({"width": width, "height": height})
        faults = [
            (fault["id"], fault["help"], fault["nodes"][0]["html"])
            for fault in axe.run(person.page).response["violations"]
            if fault["impact"] in ("serious", "critical")
        ]
        assert not faults
        assert person.page.evaluate("document.documentElement.scrollWidth") == width


def test_a_browser_that_cannot_paint_is_told_so(visit, pages):
    page = visit((pages / "page.html").as_uri()).page
    page.add_init_script("WebAssembly.validate = () => false")
    page.reload()
    page.wait_for_selector("#alert:not([hidden])")
    assert "it lacks WebAssembly with SIMD" in page.inner_text("#alert")


def test_memory_is_given_back(visit, host):
    person = visit(host)
    person.open(("tiny.png", PICTURES["tiny.png"]))
    session = person.page.context.new_cdp_session(person.page)

    def used():
        session.send("HeapProfiler.collectGarbage")
        return person.page.evaluate("performance.memory.usedJSHeapSize")

    for i in range(20):
        person.set("stroke", i % 2)
    before = used()
    for i in range(200):
        person.set("stroke", i % 2)
    assert used() - before < 20e6


@pytest.fixture
def own_machine(pages):
    """Address of the page as `tfstyle app` serves it."""
    uvicorn = pytest.importorskip("uvicorn")
    from tfstyle.export.app import make_app

    folder = pages / "app"
    if not folder.exists():
        publish_app(STYLES, folder)
        shutil.copytree(pages / "page/models", folder / "models")
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(make_app(folder), log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run, args=([[listener]]), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
    server.should_exit = True
    thread.join(10)


def test_python_paints_what_is_handed_over(visit, own_machine, monkeypatch):
    def stylize(photograph, painting, size, callbacks):
        assert callbacks.function(0.5, lambda: np.full((200, 300, 3), 0.5))
        return Image.new("RGB", (size, 200), "blue")

    monkeypatch.setattr("tfstyle.export.app.stylize", stylize)
    person = visit(own_machine)
    person.open(("small.png", PICTURES["small.png"]))
    person.page.click("#best")
    person.page.wait_for_selector("#alert:not([hidden])")
    assert "after a painting" in person.alert
    painting = ("night.png", encoded(BRUSHWORK.resize((300, 200))))
    person.after(person.page.set_input_files, "#paintings", upload(painting))
    person.page.click("#best")  # beside which the page may still paint by itself
    person.page.wait_for_selector("#status:has-text('Painted by Python.')", state="attached")
    assert person.painted()[5, 5].tolist() == [0, 0, 255, 255]


def test_threads_are_used_where_they_may_be(visit, own_machine, host):
    for address, build in ((own_machine, "threaded"), (host, "relaxed")):
        person = visit(address)
        names = "performance.getEntriesByType('resource').map((entry) => entry.name)"
        assert f"{address}litert/{build}.wasm" in [
            name.partition("?")[0] for name in person.page.evaluate(names)
        ]
        person.open(("small.png", PICTURES["small.png"]))
        assert difference(person.painted(), tfstyle.stylize(PICTURES["small.png"], "wave")) <= 2


def test_twelve_megapixels_are_opened(person):
    person.open(("huge.jpg", encoded(LAKE.resize((4000, 3000)), "JPEG")))
    assert person.painted().shape[:2] == (768, 1024)
    texts = person.page.locator("#size option").all_inner_texts()
    assert texts[-1].startswith("4000 × 3000, full size, about")


@pytest.fixture(scope="module")
def tab(tmp_path_factory):
    """A tab of Firefox."""
    pytest.importorskip("websockets")
    path = next(filter(None, map(shutil.which, ("firefox-esr", "firefox"))), None)
    if path is None:
        pytest.skip("there is no Firefox here: apt-get install firefox-esr")
    with firefox(path, tmp_path_factory.mktemp("firefox")) as tab:
        yield tab


PAINTED = """
    document.getElementById("status").textContent.startsWith("Painted") ||
    !document.getElementById("alert").hidden
"""


def saved_by(tab, files, element="#photographs"):
    """Give files to the page in Firefox, and return the pixels that it saves."""
    tab.run("document.getElementById('status').textContent = ''")
    tab.give(element, *files)
    tab.wait(PAINTED)
    assert tab.run("document.getElementById('alert').hidden")
    tab.run("document.getElementById('save').click()")
    return np.asarray(Image.open(tab.downloaded()))


@pytest.mark.parametrize("way", ["file", "folder"])
def test_firefox_paints_as_python(tab, pages, host, tmp_path, way):
    tab.visit(host if way == "folder" else (pages / "page.html").as_uri())
    tab.wait(PAINTED)
    for name in ("clear.png", "turned.jpg", "odd.png"):
        (tmp_path / name).write_bytes(PICTURES[name])
        painted = saved_by(tab, [tmp_path / name])
        exact = tfstyle.stylize(PICTURES[name], "wave")
        assert difference(painted, exact) <= (8 if name == "clear.png" else 2), name
    painting = tmp_path / "night.png"
    painting.write_bytes(encoded(BRUSHWORK.resize((700, 460))))
    painted = saved_by(tab, [painting], "#paintings")
    exact = tfstyle.stylize(PICTURES["odd.png"], painting, "instant")
    assert difference(painted, exact) <= 2
    tab.run("document.getElementById('copy').click()")
    tab.wait("document.getElementById('status').textContent.includes('clipboard')")
    assert tab.run("document.getElementById('alert').hidden")
    assert not tab.faults


def test_firefox_paints_films(tab, pages, tmp_path):
    tab.visit((pages / "page.html").as_uri())
    tab.wait(PAINTED)
    tab.give("#photographs", clip(tmp_path / "clip.webm", seconds=1))
    result = Path(tab.downloaded())
    assert result.name == "clip-wave.webm"
    _, properties = probe(result)
    assert properties["size"] == (160, 90)
    assert not tab.faults


def test_the_page_that_ships_is_what_its_source_makes(tmp_path):
    source = export_page.BUILT.parent
    if not (source / "node_modules").is_dir() or shutil.which("node") is None:
        pytest.skip("there is no Node here, or `npm ci` has not been run in export/web")
    subprocess.run(["node", "build.mjs", tmp_path], cwd=source, check=True)
    made = {path.relative_to(tmp_path).as_posix(): path for path in tmp_path.rglob("*.*")}
    ships = export_page._built(alone=False)
    assert made.keys() == ships.keys()
    assert all(made[name].read_bytes() == data for name, data in ships.items())
