"""The page as it is written: what is in it, and what a network in it can be told."""

import base64
import gzip
import json
import re
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from PIL import Image

from tfstyle import config
from tfstyle.cli.main import main
from tfstyle.export import page, parity
from tfstyle.export.config import ExportConfig
from tfstyle.export.frozen import freeze
from tfstyle.export.litert import read_metadata, write_litert
from tfstyle.export.moments import moments_size
from tfstyle.export.page import publish_app, publish_page
from tfstyle.export.report import ParityError


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Compare small pictures, measure once and no memory."""
    monkeypatch.setattr(parity, "SHIPPED_SIDES", (48,))
    monkeypatch.setattr(parity, "RUN_SECONDS", 0)
    monkeypatch.setattr(parity, "peak_memory_mb", lambda *_: 1.0)


def catalog_of(html):
    return json.loads(re.search(r'id="catalog">(.*?)</script>', html)[1])


@pytest.mark.parametrize("name", ["CODE_SIDE", "LEAST_CODE_SIDE"])
def test_the_page_reads_codes_at_the_sizes_that_python_does(name):
    source = (Path(__file__).parents[1] / "export/web/src/worker.ts").read_text()
    assert int(re.search(rf"^const {name} = (\d+);", source, re.M)[1]) == getattr(config, name)


@pytest.mark.slow
def test_a_folder_holds_all_that_it_names(tiny_zoo, tmp_path):
    reports = publish_page(["ripple", "calm", "storm"], tmp_path / "page")
    assert [report.export for report in reports] == [
        "models/ripple.tflite",
        "models/weather.tflite",
    ]
    folder = tmp_path / "page"
    catalog = catalog_of((folder / "index.html").read_text())
    ripple, weather = catalog["models"]
    assert (ripple["takes"], ripple["points"]) == (None, 0)
    assert (weather["takes"], weather["points"]) == ("style_weights", 2)
    assert [style["title"] for style in catalog["styles"]] == ["Ripple", "Calm", "Storm"]
    assert [style["point"] for style in catalog["styles"]] == [[], [1, 0], [0, 1]]
    for name in json.loads((folder / "files.json").read_text()):
        assert (folder / name).stat().st_size > 0
    assert (folder / "litert/relaxed.wasm").read_bytes()[:4] == b"\0asm"
    assert "Apache License" in (folder / "LICENSES.txt").read_text()


@pytest.mark.slow
def test_an_app_has_the_same_page_and_writes_networks_when_asked(tiny_zoo, tmp_path):
    styles = ["ripple", "calm", "storm"]
    publish_page(styles, tmp_path / "page")
    publish_app(styles, tmp_path / "app")
    catalog, own = (
        catalog_of((tmp_path / name / "index.html").read_text()) for name in ("page", "app")
    )
    own_version = own.pop("version")
    assert catalog.pop("version") != own_version
    assert own == catalog | {"app": True}
    assert not (tmp_path / "app/models").exists()
    write_model = page.model_writer(styles, tmp_path / "app")
    write_model("models/weather.tflite")
    write_model("models/none.tflite")
    assert sorted(path.name for path in (tmp_path / "app/models").glob("*.tflite")) == [
        "weather.tflite"
    ]
    written = read_metadata((tmp_path / "app/models/weather.tflite").read_bytes())
    (told,) = [model for model in own["models"] if model["file"] == "models/weather.tflite"]
    for key in ("moments", "multiple"):
        assert written[key] == told[key]
    assert written["style_weights"] == told["points"] == 2


@pytest.mark.slow
def test_one_style_of_several_is_frozen_in(tiny_zoo, tmp_path):
    publish_page(["storm"], tmp_path / "page")
    catalog = catalog_of((tmp_path / "page/index.html").read_text())
    assert catalog["models"][0]["takes"] is None
    assert [(style["title"], style["point"]) for style in catalog["styles"]] == [("Storm", [])]


@pytest.mark.slow
def test_a_file_holds_everything_and_connects_nowhere(tiny_zoo, tmp_path):
    publish_page(["ripple"], tmp_path / "page.html")
    html = (tmp_path / "page.html").read_text()
    assert "connect-src 'none'" in html
    assert not re.search(r"""(src|href)=["']?(https?:|/)""", html)
    packed = dict(re.findall(r'<script type="text/plain" id="asset:(.*?)">(.*?)</script>', html))
    assert {"worker.js", "litert/compat.wasm", "models/ripple.tflite", "lake.jpg"} <= packed.keys()
    model = gzip.decompress(base64.b64decode(packed["models/ripple.tflite"]))
    assert model[4:8] == b"TFL3"
    assert "Apache License" in html


@pytest.mark.slow
def test_a_painting_becomes_a_style_and_any_takes_paintings(tmp_path, monkeypatch, tiny_painter):
    Image.effect_noise((48, 40), 80).convert("RGB").save(tmp_path / "night_sky.png")
    network = tiny_painter()
    monkeypatch.setattr(page.Paintings, "network", lambda self, name: renamed(network, name))
    publish_page([str(tmp_path / "night_sky.png")], tmp_path / "page")
    catalog = catalog_of((tmp_path / "page/index.html").read_text())
    assert [style["title"] for style in catalog["styles"]] == ["Night Sky"]
    assert catalog["painting"] is None


def renamed(network, name):
    copy = network.of_style(0)
    copy.card = {"styles": [{"name": name, "about": ""}]}
    return copy


@pytest.mark.slow
def test_a_network_in_a_page_can_be_told_what_to_normalize_by(tiny_painter, tmp_path):
    network = tiny_painter(names=("calm", "storm"))
    config = ExportConfig(format="web", all_styles=True, precision="float32")
    path = write_litert(network, tmp_path / "weather.tflite", config)
    run = Interpreter(str(path)).get_signature_runner("stylize")
    random = np.random.default_rng(0)
    whole, other = random.random((2, 1, 32, 48, 3), np.float32)
    count = moments_size(freeze(network, config))

    def paint(image, moments, own):
        return run(
            image=image,
            style_weights=np.float32([[0.25, 0.75]]),
            moments=np.float32(moments).reshape(1, 1, 1, count),
            own=np.float32([[[[own]]]]),
        )

    by_itself = paint(whole, np.zeros(count), 1)
    expected = network(whole, np.float32([[0.25, 0.75]]))
    np.testing.assert_allclose(by_itself["stylized"], expected, atol=1e-4)
    told = paint(whole, by_itself["used"], 0)
    np.testing.assert_allclose(told["stylized"], by_itself["stylized"], atol=1e-4)
    as_another = paint(whole, paint(other, np.zeros(count), 1)["used"], 0)
    assert np.abs(as_another["stylized"] - by_itself["stylized"]).max() > 0.01


@pytest.mark.slow
def test_what_paints_otherwise_is_not_written(tiny_zoo, tmp_path, monkeypatch):
    monkeypatch.setattr("tfstyle.export.report.TOLERANCES", {"float16": (0.0, 0.0)})
    monkeypatch.setattr(parity, "TOLERANCES", {"float16": (0.0, 0.0)})
    with pytest.raises(ParityError):
        publish_page(["ripple"], tmp_path / "page.html")
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("--format web", "`output` must be given"),
        ("ripple nonsense --format web -o page/", "`style` must be one of"),
        ("ripple --format web -o page.zip", "`output` must be a folder"),
        ("ripple --format web -o none/page.html", "existing folder"),
        ("ripple calm --format litert -o a.tflite", "one style is exported at a time"),
        ("ripple --format web --style ripple -o page/", "neither `style` nor"),
    ],
)
def test_the_command_refuses(tiny_zoo, tmp_path, monkeypatch, capsys, arguments, text):
    monkeypatch.chdir(tmp_path)
    assert main(["export", *arguments.split()]) == 2
    told = capsys.readouterr().err
    assert text in told
    assert told.count("\n") == 1


@pytest.mark.slow
def test_the_command_writes_a_page(tiny_zoo, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main("export ripple storm --format web -o page.html".split()) == 0
    assert capsys.readouterr().out.endswith("page.html\n")
    titles = [
        style["title"] for style in catalog_of((tmp_path / "page.html").read_text())["styles"]
    ]
    assert titles == ["Ripple", "Storm"]
