"""The Android sample: its files fit together, and its Kotlin computes what the package does."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from tfstyle.config import CODE_SIDE, PaintConfig
from tfstyle.export.calibration import SHIPPED
from tfstyle.export.config import ExportConfig
from tfstyle.networks import AnyNet
from tfstyle.painting.sizes import paint
from tfstyle.pictures import read_image, resize

PROJECT = Path(__file__).resolve().parent.parent / "export" / "android"
APP = PROJECT / "app"
MAIN = APP / "src" / "main"
KOTLIN = {path.name: path.read_text() for path in sorted((MAIN / "java").rglob("*.kt"))}
PURE = ("Json.kt", "Metadata.kt", "Pixels.kt")
CONSTANTS = dict(re.findall(r"const val (\w+) = (\S+)", "\n".join(KOTLIN.values())))
TEXT = {name: value.strip('"') for name, value in CONSTANTS.items()}
ANDROID = "{http://schemas.android.com/apk/res/android}"


def resources():
    """What there is in res/, as `type/name`."""
    found = set()
    for path in (MAIN / "res").rglob("*.xml"):
        root = ElementTree.parse(path).getroot()
        if root.tag == "resources":
            found |= {f"{child.tag}/{child.get('name')}" for child in root}
        else:
            found.add(f"{path.parent.name}/{path.stem}")
        found |= {f"id/{name}" for name in re.findall(r"@\+id/(\w+)", path.read_text())}
    return found


def manifest():
    return ElementTree.parse(MAIN / "AndroidManifest.xml").getroot()


def namespace():
    return re.search(r'namespace = "([\w.]+)"', (APP / "build.gradle.kts").read_text())[1]


def place(image, side):
    """`place` of Pixels.kt: top, left, height and width of a picture in a square frame."""
    scale = side / max(image.shape[:2])
    height, width = (min(side, max(1, int(old * scale + 0.5))) for old in image.shape[:2])
    grid = int(CONSTANTS["GRID"])
    return (side - height) // 2 // grid * grid, (side - width) // 2 // grid * grid, height, width


def framed(image, side):
    """`Picture.framed` of Pixels.kt, said with NumPy and the package's own filter."""
    top, left, height, width = place(image, side)
    pads = [(top, side - height - top), (left, side - width - left), (0, 0)]
    return np.pad(resize(image, (height, width)), pads, "reflect")


def cropped(frame, image):
    """`Picture.cropped` and `toArgb` of Pixels.kt: levels of 0 to 255."""
    top, left, height, width = place(image, len(frame))
    inner = frame[top : top + height, left : left + width]
    return np.floor(255 * np.clip(inner, 0, 1) + 0.5).astype(np.uint8)


def test_xml_is_well_formed_and_every_resource_exists():
    assert len(list(MAIN.rglob("*.xml"))) >= 7
    text = "\n".join(path.read_text() for path in MAIN.rglob("*.xml"))
    used = set(re.findall(r'"@((?!android:|\+)[\w]+/[\w.]+)"', text))
    code = "\n".join(KOTLIN.values())
    for kind, name in re.findall(r"(?<!android\.)\bR\.(\w+)\.(\w+)", code):
        used.add(f"{kind}/{name}")
    assert used <= resources()
    unused = {name for name in resources() - used if not name.startswith("id/")}
    assert not unused


def test_manifest_names_activity_and_provider_and_no_permission():
    assert not manifest().findall("uses-permission")
    application = manifest().find("application")
    activity = application.find("activity")
    assert activity.get(f"{ANDROID}name") == ".MainActivity"
    assert "class MainActivity" in KOTLIN["MainActivity.kt"]
    actions = {action.get(f"{ANDROID}name") for action in activity.iter("action")}
    assert actions == {"android.intent.action.MAIN"}
    assert activity.get(f"{ANDROID}exported") == "true"
    provider = application.find("provider")
    assert provider.get(f"{ANDROID}name") == "androidx.core.content.FileProvider"
    assert provider.get(f"{ANDROID}exported") == "false"
    authority = provider.get(f"{ANDROID}authorities")
    assert authority == "${applicationId}.files"
    assert '"${context.packageName}.files"' in KOTLIN["Photos.kt"]
    shared = ElementTree.parse(MAIN / "res" / "xml" / "file_paths.xml").getroot()
    folders = {path.get("path").rstrip("/") for path in shared if path.tag == "cache-path"}
    assert folders == set(re.findall(r'cacheFile\(context, "(\w+)"', KOTLIN["Photos.kt"]))


def test_gradle_names_plugins_and_one_version_of_litert():
    settings, root, app = (
        (PROJECT / name).read_text()
        for name in ("settings.gradle.kts", "build.gradle.kts", "app/build.gradle.kts")
    )
    assert 'include(":app")' in settings
    plugins = re.findall(r'id\("([\w.]+)"\)', app)
    assert plugins == ["com.android.application", "org.jetbrains.kotlin.android"]
    assert re.findall(r'id\("([\w.]+)"\) version "[\d.]+" apply false', root) == plugins
    litert = dict(re.findall(r'implementation\("com\.google\.ai\.edge\.litert:([\w-]+):(.+)"', app))
    assert set(litert) == {"litert", "litert-gpu", "litert-gpu-api"}
    assert len(set(litert.values())) == 1
    assert 'androidResources { noCompress += "tflite" }' in app
    assert "android.useAndroidX=true" in (PROJECT / "gradle.properties").read_text()
    for text in (settings, root, app, *KOTLIN.values()):
        assert all(text.count(a) == text.count(b) for a, b in ("()", "[]", "{}"))


def test_packages_match_folders():
    for path in (MAIN / "java").rglob("*.kt"):
        assert f"package {namespace()}\n" in path.read_text()
        assert path.parent.relative_to(MAIN / "java").as_posix() == namespace().replace(".", "/")


def test_pure_files_import_nothing_of_android():
    for name in PURE:
        imported = re.findall(r"^import (\w+)\.", KOTLIN[name], re.M)
        assert set(imported) <= {"java", "kotlin"}


def test_kotlin_names_things_as_the_export_does():
    litert = pytest.importorskip("tfstyle.export.litert")
    assert CONSTANTS["LANCZOS_LOBES"] == "3"  # as Pillow's, which tfstyle resizes with
    assert TEXT["SIGNATURE"] == litert.SIGNATURE
    assert TEXT["METADATA"] == litert.METADATA
    assert int(CONSTANTS["CODE_SIDE"]) == CODE_SIDE


def test_pictures_lie_on_the_networks_grid(tiny_painter):
    for architecture in ("lean", "full"):
        assert int(CONSTANTS["GRID"]) % tiny_painter(architecture).multiple == 0
    top, left, height, width = place(np.zeros((600, 901, 3)), 512)
    assert (top, left, height, width) == (80, 0, 341, 512)


def test_readme_exports_where_the_app_looks():
    text = (PROJECT / "README.md").read_text()
    folder = MAIN.relative_to(PROJECT.parents[1])
    for style in ("wave", "any"):
        assert f"tfstyle export {style} {folder} --format android" in text
    assert "**Not run on a device:**" in text


@pytest.fixture(scope="module")
def models(tiny_painter, tmp_path_factory):
    """A function that writes a tiny network for frames of a size, once."""
    litert = pytest.importorskip("tfstyle.export.litert")
    files = {}

    def write(side):
        if side not in files:
            path = tmp_path_factory.mktemp("android") / f"ripple_{side}.tflite"
            config = ExportConfig(format="android", size=side)
            files[side] = litert.write_litert(tiny_painter(), path, config)
        return files[side]

    return write


@pytest.mark.parametrize("side", [256, 512])
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.slow
def test_a_phones_steps_paint_what_the_network_paints(models, tiny_painter, side, threads):
    from ai_edge_litert.interpreter import Interpreter

    image = read_image(SHIPPED[0]).rgb
    interpreter = Interpreter(str(models(side)), num_threads=threads)
    run = interpreter.get_signature_runner(TEXT["SIGNATURE"])
    frame = framed(image, side)
    stylized = run(**{TEXT["INPUT"]: frame[None]})[TEXT["OUTPUT"]][0]
    expected = paint(tiny_painter(), frame, PaintConfig(statistics="whole"))
    levels, wanted = cropped(stylized, image), cropped(expected, image)
    assert max(levels.shape) == side
    assert abs(levels.shape[1] / levels.shape[0] - image.shape[1] / image.shape[0]) < 2 / side
    assert levels.std() > 10
    difference = np.abs(levels.astype(int) - wanted)
    assert difference.max() <= 3  # float16 weights
    assert difference.mean() < 0.2


@pytest.fixture(scope="module")
def any_style():
    about = {"name": "any", "about": "any painting"}
    return AnyNet(0.125, 0, num_styles=8, card={"styles": [about]})


@pytest.fixture(scope="module")
def app(any_style, tiny_styles, tmp_path_factory):
    """Folder of an app's assets: of the network of any style, and then of a trained one."""
    pytest.importorskip("ai_edge_litert")
    from tfstyle.export import parity, publishing

    folder = tmp_path_factory.mktemp("app")
    any_style.save(folder / "any.keras")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parity, "RUN_SECONDS", 0)
        patch.setattr(parity, "peak_memory_mb", lambda *_: 1.0)
        for network in (folder / "any.keras", tiny_styles / "ripple.keras"):
            publishing.publish(network, folder, ExportConfig(format="android", size=64))
    return folder / "assets"


@pytest.mark.slow
def test_the_style_of_any_painting_is_the_last_and_has_one_encoder(app):
    styles = json.loads((app / TEXT["LABELS"]).read_text())["styles"]
    assert [(style["name"], style["encoder"]) for style in styles] == [
        ("ripple", None),
        ("any", "any_encoder.tflite"),
    ]
    files = sorted(path.name for path in app.glob("any*.tflite"))
    assert files == ["any_64.tflite", "any_encoder.tflite"]


@pytest.mark.slow
def test_a_phones_steps_paint_in_the_style_of_a_painting(app, any_style):
    from ai_edge_litert.interpreter import Interpreter

    encoder = Interpreter(str(app / "any_encoder.tflite"))
    encoder.allocate_tensors()  # as Java's does at once
    names = {"inputs": [TEXT["PAINTING"]], "outputs": [TEXT["CODE"]]}
    assert encoder.get_signature_list() == {TEXT["ENCODE"]: names}
    assert int(CONSTANTS["LEAST_CODE_SIDE"]) == 2 ** len(any_style.encoder.filters)
    encode = encoder.get_signature_runner(TEXT["ENCODE"])
    image, painting = (read_image(path).rgb for path in SHIPPED[:2])
    painting = resize(painting, int(CONSTANTS["CODE_SIDE"]))[None]
    code = encode(**{TEXT["PAINTING"]: painting})[TEXT["CODE"]]
    run = Interpreter(str(app / "any_64.tflite")).get_signature_runner(TEXT["SIGNATURE"])
    frame = framed(image, 64)[None]
    stylized = run(**{TEXT["INPUT"]: frame, TEXT["CODE"]: code})[TEXT["OUTPUT"]]
    expected = any_style(frame, any_style.encode(painting))
    np.testing.assert_allclose(stylized, expected, atol=3 / 255)
    other = run(**{TEXT["INPUT"]: frame, TEXT["CODE"]: -code})[TEXT["OUTPUT"]]
    assert np.abs(other - stylized).mean() > 0.01


# What a phone would do, without one: argument 1 is a folder, 2 the side of the frame.
CHECK = """
package com.example.tfstyle

import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder

fun ints(file: File): IntArray {
    val buffer = ByteBuffer.wrap(file.readBytes()).order(ByteOrder.LITTLE_ENDIAN).asIntBuffer()
    return IntArray(buffer.remaining()).also(buffer::get)
}

fun failure(action: () -> Unit) = try {
    action()
    "none"
} catch (error: IllegalArgumentException) {
    error.message
}

fun main(args: Array<String>) {
    val folder = File(args[0])
    val side = args[1].toInt()
    val (width, height) = ints(File(folder, "size"))
    val picture = pictureOf(ints(File(folder, "argb")), width, height)
    val place = place(width, height, side, side)
    val tensor = picture.framed(place, side, side).toTensor()
    File(folder, "frame").writeBytes(ByteArray(tensor.limit()) { tensor[it] })
    val frame = pictureOf(tensor, side, side)
    val painted = Picture(side, side, FloatArray(frame.rgb.size) { 1.1f - 1.2f * frame.rgb[it] })
    val result = painted.cropped(place).toArgb()
    val bytes = ByteBuffer.allocate(4 * result.size).order(ByteOrder.LITTLE_ENDIAN)
    bytes.asIntBuffer().put(result)
    File(folder, "result").writeBytes(bytes.array())
    val painting = picture.forEncoder()
    val pixels = (painting ?: Picture(0, 0, FloatArray(0))).toTensor()
    File(folder, "painting").writeBytes(ByteArray(pixels.limit()) { pixels[it] })
    println(place)
    println(painting?.let { listOf(it.height, it.width) })
    println(listOf(4032, 2047, 2048, 9).map { sampleSize(it, 512) })
    val black = Picture(1, 1, FloatArray(3))
    println(meanDifference(Picture(1, 1, floatArrayOf(0f, 0f, 1f)), black))
    println(meanDifference(Picture(1, 1, FloatArray(3) { Float.NaN }), black) <= 1)
    println(parseJson(File(folder, "odd.json").readText()))
    val wrong = listOf("{", "[1 2]", "nil", "{} {}", "", "{1: 2}")
    println(wrong.map { failure { parseJson(it) } != "none" })
    val labels = File(folder, LABELS)
    if (labels.isFile) {
        val styles = parseLabels(labels.readText())
        println(styles)
        fun read(name: String) = ByteBuffer.wrap(File(folder, name).readBytes())
        val encoder = styles[1].encoder!!
        println(checkEncoder(read(encoder), encoder))
        println(styles.map { checkModel(read(it.models[0].file), it.models[0]) })
        val model = styles[0].models[0]
        val file = read(model.file)
        println(failure { checkEncoder(file, model.file) })
        println(readMetadata(file))
        println(failure { checkModel(file, model) })
        println(failure { checkModel(file, model.copy(width = 63)) })
        println(failure { checkModel(ByteBuffer.allocate(99), model) })
        println(failure { parseLabels("{}") })
    }
}
"""


@pytest.fixture(scope="module")
def check(tmp_path_factory):
    """A function that runs CHECK in a folder and returns the lines that it prints."""
    kotlinc = os.environ.get("KOTLINC") or shutil.which("kotlinc")
    if not kotlinc or not shutil.which("java"):
        pytest.skip("there is no Kotlin compiler: let KOTLINC name one, and put java on PATH")
    folder = tmp_path_factory.mktemp("kotlin")
    (folder / "Check.kt").write_text(CHECK)
    sources = [next((MAIN / "java").rglob(name)) for name in PURE]
    jar = folder / "check.jar"
    compile_ = [kotlinc, *sources, folder / "Check.kt", "-include-runtime", "-Werror", "-d", jar]
    subprocess.run(compile_, check=True)

    def run(folder, side):
        command = ["java", "-Dfile.encoding=UTF-8", "-cp", jar, "com.example.tfstyle.CheckKt"]
        done = subprocess.run(
            [*command, folder, str(side)], check=True, capture_output=True, encoding="utf-8"
        )
        return done.stdout.splitlines()

    return run


def write_pixels(folder, argb):
    """Write pixels `(height, width, 4)` of alpha, red, green and blue as Android packs them."""
    packed = argb.astype(np.uint32) << np.uint32([24, 16, 8, 0])
    (folder / "argb").write_bytes(packed.sum(-1, dtype=np.uint32).astype("<u4").tobytes())
    (folder / "size").write_bytes(np.int32(argb.shape[1::-1]).astype("<i4").tobytes())
    (folder / "odd.json").write_text(
        r'{"a": [1, -2.5e1, null, true, {}], "b\"\\\n\u00e9/": "é, [x]: \"y\"", "c": []}', "utf-8"
    )


@pytest.mark.parametrize(
    ("shape", "side"),
    [((30, 40), 64), ((400, 301), 64), ((64, 64), 64), ((7, 90), 64), ((300, 1), 16)],
)
def test_kotlin_frames_and_crops_as_numpy_does(check, tmp_path, shape, side):
    argb = np.random.default_rng(0).integers(0, 256, (*shape, 4))
    argb[: shape[0] // 2, :, 0] = 255
    write_pixels(tmp_path, argb)
    lines = check(tmp_path, side)
    alpha = argb[..., :1] / 255
    image = np.float32(argb[..., 1:] / 255 * alpha + (1 - alpha))
    top, left, height, width = place(image, side)
    assert lines[0] == f"Placement(left={left}, top={top}, width={width}, height={height})"
    frame = np.fromfile(tmp_path / "frame", "<f4").reshape(side, side, 3)
    np.testing.assert_allclose(frame, framed(image, side), atol=2e-6)
    result = np.fromfile(tmp_path / "result", "<u4").reshape(height, width)
    assert np.all(result >> 24 == 255)
    levels = np.stack([result >> shift & 255 for shift in (16, 8, 0)], -1).astype(int)
    assert np.abs(levels - cropped(np.float32(1.1 - 1.2 * frame), image)).max() <= 1
    painting = resize(image, CODE_SIDE)
    if min(painting.shape[:2]) < int(CONSTANTS["LEAST_CODE_SIDE"]):
        assert lines[1] == "null"
    else:
        assert lines[1] == str([*painting.shape[:2]])
        given = np.fromfile(tmp_path / "painting", "<f4").reshape(painting.shape)
        np.testing.assert_allclose(given, painting, atol=2e-6)
    assert lines[2:5] == ["[2, 1, 2, 1]", str(1 / 3), "false"]
    assert lines[5] == '{a=[1.0, -25.0, null, true, {}], b"\\'
    assert lines[6] == 'é/=é, [x]: "y", c=[]}'
    assert lines[7] == str([True] * 6).lower()


def test_kotlin_reads_what_the_export_writes(check, app, tmp_path):
    assets = shutil.copytree(app, tmp_path / "assets")
    write_pixels(assets, np.asarray(Image.new("RGBA", (20, 30))))
    *_, styles, size, sizes, no_encoder, metadata, fine, wrong_size, wrong_file, wrong_labels = (
        check(assets, 64)
    )
    assert styles == (
        "[Style(name=ripple, about=about ripple, thumbnail=ripple.jpg, encoder=null, "
        "models=[Model(file=ripple_64.tflite, height=64, width=64)]), "
        "Style(name=any, about=any painting, thumbnail=null, encoder=any_encoder.tflite, "
        "models=[Model(file=any_64.tflite, height=64, width=64)])]"
    )
    assert (size, sizes) == ("8", "[null, 8]")
    assert no_encoder == "`painting` is missing from the metadata, or not as it should be."
    assert json.loads(metadata) == json.loads((assets / "ripple_64.json").read_text())
    assert fine == "none"
    assert wrong_size == "ripple_64.tflite takes pictures of [64.0, 64.0], not 64 × 63."
    assert wrong_file == "ripple_64.tflite is not a LiteRT file of tfstyle."
    assert wrong_labels == "`styles` is missing from the metadata, or not as it should be."
