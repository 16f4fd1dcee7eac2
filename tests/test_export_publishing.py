"""`tfstyle export` and `tfstyle verify`, and what they call: from a style's name to its files."""

import json
import signal
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from tfstyle.cli.main import main
from tfstyle.export import litert, parity
from tfstyle.export.config import ExportConfig
from tfstyle.export.frozen import freeze, labels
from tfstyle.export.litert import LiteRTPainter
from tfstyle.export.publishing import find_network, publish
from tfstyle.export.report import TOLERANCES, ParityError, Report, Row
from tfstyle.export.saved_model import SavedModelPainter


@pytest.fixture(autouse=True)
def quick(tiny_zoo, monkeypatch, tmp_path):
    """Export tiny networks, measure once and no memory, and work in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(parity, "SHIPPED_SIDES", (48,))
    monkeypatch.setattr(parity, "RUN_SECONDS", 0)
    monkeypatch.setattr(parity, "peak_memory_mb", lambda *_: 1.0)


@pytest.fixture
def strict(monkeypatch):
    """Let no export be good enough."""
    for kind in TOLERANCES:
        monkeypatch.setitem(TOLERANCES, kind, (-1.0, -1.0))


@pytest.fixture
def unverified(monkeypatch):
    """Compare no pictures, and convert once for each size, where the files alone count."""

    def convert(frozen, config, calibration):
        if config.sides not in converted:
            converted[config.sides] = really_convert(frozen, config, calibration)
        return converted[config.sides]

    converted, really_convert = {}, litert._convert
    monkeypatch.setattr(litert, "_convert", convert)
    monkeypatch.setattr("tfstyle.export.publishing.verify", lambda path, *_: report_of(path))


def report_of(path, passed=True):
    """A report of a LiteRT file, or of what may lie at a path."""
    metadata = LiteRTPainter(path).metadata if path.is_file() else {"precision": "float32"}
    row = Row(
        picture="lake.jpg",
        signature="stylize",
        height=32,
        width=48,
        maximum=9.0,
        mean=9.0,
        psnr=9.0,
        latency_ms=9.0,
        passed=passed,
    )
    return Report(
        export=str(path),
        metadata=metadata,
        file_bytes=path.stat().st_size if path.is_file() else 0,
        memory_mb=None,
        warmup_requests=0,
        rows=(row,),
    )


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.slow
def test_publish_writes_a_saved_model_and_its_report(tmp_path):
    (path,) = written = publish("ripple", tmp_path / "models" / "ripple")
    assert path == tmp_path / "models" / "ripple" / "1"
    assert names(path.parent) == ["1", "1.parity.json"]
    report = json.loads((path.parent / "1.parity.json").read_text())
    assert report["passed"]
    assert report["export"] == written[path].export == str(path)
    assert SavedModelPainter(path).metadata["styles"][0]["name"] == "ripple"


@pytest.mark.usefixtures("unverified")
@pytest.mark.slow
def test_publish_writes_a_litert_file_and_its_report(tmp_path):
    config = ExportConfig(format="litert", precision="float16", size=32)
    publish("ripple", tmp_path / "a.tflite", config)
    assert names(tmp_path) == ["a.json", "a.parity.json", "a.tflite"]


def test_publish_does_not_replace_what_is_no_record(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "tfstyle.export.litert.write_litert", lambda *args, **_: pytest.fail("late")
    )
    (tmp_path / "wave.json").write_text('{"recipe": {}, "scales": []}')
    with pytest.raises(ValueError, match=r"would replace '.*wave\.json', which is none\."):
        publish("ripple", tmp_path / "wave.tflite", ExportConfig(format="litert"))


def test_publish_freezes_the_style_that_was_named(tmp_path, tiny_zoo):
    config = ExportConfig(format="litert")
    for style, its_config, expected in [
        ("storm", config, ["storm"]),
        (tiny_zoo / "weather.keras", config, ["calm"]),
        ("storm", ExportConfig(format="litert", all_styles=True), ["calm", "storm"]),
    ]:
        frozen = freeze(*find_network(style, its_config))
        assert [label["name"] for label in labels(frozen)] == expected


@pytest.mark.usefixtures("unverified")
@pytest.mark.slow
def test_publish_writes_the_assets_of_an_app(tmp_path, monkeypatch):
    monkeypatch.setattr("tfstyle.export.publishing.ANDROID_SIZES", (32, "32x48"))
    config = ExportConfig(format="android")
    publish("ripple", tmp_path / "app", ExportConfig(format="android", size=32))
    publish("storm", tmp_path / "app", config)
    publish("ripple", tmp_path / "app" / "assets", ExportConfig(format="android", size="32x48"))
    assets = tmp_path / "app" / "assets"
    labels = json.loads((assets / "labels.json").read_text())
    storm, ripple = labels["styles"]
    assert (storm["name"], storm["about"]) == ("storm", "about storm")
    assert [model["size"] for model in storm["models"]] == [[32, 32], [32, 48]]
    assert [model["file"] for model in ripple["models"]] == ["ripple_32x48.tflite"]
    assert Image.open(assets / ripple["thumbnail"]).size == (24, 16)
    for model in (*storm["models"], *ripple["models"]):
        painter = LiteRTPainter(assets / model["file"])
        assert list(painter.size) == model["size"]
        assert painter.metadata["precision"] == "float16"
        assert painter.path.stat().st_size == model["bytes"]
    assert "storm_32.parity.json" in names(tmp_path / "app")
    assert not any("parity" in name or name.startswith(".") for name in names(assets))


@pytest.mark.usefixtures("strict")
@pytest.mark.parametrize("format", ["saved-model", "litert"])
@pytest.mark.slow
def test_publish_keeps_nothing_that_is_not_good_enough(format, tmp_path):
    output = tmp_path / ("ripple" if format == "saved-model" else "ripple.tflite")
    with pytest.raises(ParityError, match="was not kept") as caught:
        publish("ripple", output, ExportConfig(format=format))
    assert caught.value.report.export == str(output)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_find_network_lists_the_styles_where_one_is_unknown():
    text = r"one of \('ripple', 'calm', 'storm', 'any'\) or a \.keras file\. Received: 'wave'\."
    with pytest.raises(ValueError, match=text):
        find_network("wave", ExportConfig())


# Commands


def test_export_and_verify_print_tables(capsys, tmp_path):
    assert main(["export", "ripple", "models/ripple"]) == 0
    out = capsys.readouterr().out
    assert out.count("ok\n") == 2
    assert out.endswith("models/ripple/1\n")
    assert main(["verify", "models/ripple"]) == 0
    assert capsys.readouterr().out.startswith("models/ripple: float32, ")
    assert names(tmp_path / "models" / "ripple") == ["1", "1.parity.json"]


def test_export_has_a_flag_for_every_setting(monkeypatch):
    def record(*arguments, **keywords):
        given.append((arguments, keywords))
        return {}

    given = []
    monkeypatch.setattr("tfstyle.export.publishing.publish", record)
    flags = "--format litert --precision int8 --size 32x48 --style storm --max-pixels 5000"
    photographs = "--photographs a.png b.png --calibration c.png --encoding png"
    assert main(["export", "storm", "a.tflite", *flags.split(), *photographs.split()]) == 0
    config = ExportConfig(
        format="litert",
        precision="int8",
        size="32x48",
        style="storm",
        max_pixels=5000,
        encoding="png",
    )
    assert given == [
        (
            ("storm", Path("a.tflite"), config),
            {"photographs": (Path("a.png"), Path("b.png")), "calibration": (Path("c.png"),)},
        )
    ]


def test_export_that_is_not_good_enough_is_exit_code_1(capsys, monkeypatch):
    def refuse(*arguments, **keywords):
        raise ParityError(report_of(Path("a.tflite"), passed=False))

    monkeypatch.setattr("tfstyle.export.publishing.publish", refuse)
    assert main(["export", "ripple", "a.tflite", "--format", "litert"]) == 1
    captured = capsys.readouterr()
    assert "FAILED" in captured.out
    assert captured.err.startswith("tfstyle export: The export as float32 differs")


@pytest.mark.parametrize("format", ["saved-model", pytest.param("litert", marks=pytest.mark.slow)])
def test_an_export_ended_by_sigterm_leaves_nothing(format, monkeypatch):
    def end(*_):
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr("tfstyle.export.publishing.verify", end)
    before = signal.getsignal(signal.SIGTERM)
    output = "wave" if format == "saved-model" else "wave.tflite"
    with pytest.raises(SystemExit, match="143"):
        main(["export", "ripple", output, f"--format={format}"])
    assert signal.getsignal(signal.SIGTERM) is before
    assert not [path for path in Path().glob("**/*") if path != Path("wave")]


@pytest.mark.parametrize("name", ["ripple", "any", "gone"])
def test_verify_knows_the_networks_that_ship(name, capsys, monkeypatch):
    painter = SimpleNamespace(metadata={"styles": [{"name": name}]}, path=Path("a.tflite"))
    monkeypatch.setattr("tfstyle.export.parity.open_export", lambda _: painter)
    monkeypatch.setattr("tfstyle.export.publishing.find_network", lambda *_: (None, None))
    report = SimpleNamespace(to_text=lambda: "", save=lambda path: None, passed=True)
    monkeypatch.setattr("tfstyle.export.parity.verify", lambda *_: report)
    Path("a.tflite").touch()
    known = name != "gone"
    assert main(["verify", "a.tflite"]) == (0 if known else 2)
    assert known or "'gone', which does not ship" in capsys.readouterr().err


@pytest.mark.slow
def test_verify_of_other_weights_is_exit_code_1(capsys, tiny_zoo):
    assert main(["export", "calm", "a.tflite", "--format", "litert"]) == 0
    assert main(["verify", "a.tflite", "--network", "ripple"]) == 1
    assert "FAILED" in capsys.readouterr().out
    assert json.loads(Path("a.parity.json").read_text())["passed"] is False


def test_export_says_when_there_are_no_warmup_requests(capsys, monkeypatch):
    path = Path("models/ripple/1")
    written = {path: report_of(path)}
    monkeypatch.setattr("tfstyle.export.publishing.publish", lambda *_, **__: written)
    assert main(["export", "ripple", "models/ripple"]) == 0
    assert "no warm-up requests: they need the package tensorflow-serving-api" in (
        capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["export", "monet", "models/monet"], "Received: 'monet'."),
        (["export", "ripple", "a.onnx", "--format", "litert"], "must end in .tflite"),
        (["export", "ripple", "no/a.tflite", "--format", "litert"], "Create the folder 'no'"),
        (["export", "ripple", "folder.tflite", "--format", "litert"], "'folder_encoder.tflite', a"),
        (["export", "ripple", "b.tflite", "--format", "litert"], "Received: 'b.json', a folder"),
        (["export", "ripple", "a.tflite"], "Received: 'a.tflite'. For a file add --format litert."),
        (["verify", "gone.tflite"], "There is no 'gone.tflite'."),
    ],
)
def test_commands_refuse_bad_input_in_one_line(arguments, text, capsys, monkeypatch):
    for folder in ("folder_encoder.tflite", "b.json"):
        Path(folder).mkdir()
    for command in ("export", "verify"):
        monkeypatch.setattr(
            f"tfstyle.cli.{command}.load_tensorflow", lambda: pytest.fail("too late")
        )
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert captured.err.startswith(f"tfstyle {arguments[0]}: ")
    assert text in captured.err


def test_settings_that_do_not_go_together_are_exit_code_2(capsys):
    assert main(["export", "ripple", "models", "--size", "512"]) == 2
    assert "A SavedModel takes pictures of any size" in capsys.readouterr().err
