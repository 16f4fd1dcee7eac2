"""Proof of an export: what is compared, what is refused, and what the report says."""

import dataclasses
import json
import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from tfstyle.export import parity
from tfstyle.export.config import ExportConfig
from tfstyle.export.footprint import peak_memory_mb
from tfstyle.export.litert import LiteRTPainter, write_litert
from tfstyle.export.parity import open_export, verify
from tfstyle.export.report import TOLERANCES, ParityError, Report, Row
from tfstyle.export.saved_model import SavedModelPainter, write_saved_model


@pytest.fixture(scope="module")
def exports(tiny_painter, tmp_path_factory):
    """Paths of a SavedModel, and of LiteRT files for any size and for one."""
    folder = tmp_path_factory.mktemp("exports")
    fixed = ExportConfig(format="litert", precision="float16", size="32x48")
    return {
        "saved-model": write_saved_model(tiny_painter(), folder / "ripple"),
        "litert": write_litert(tiny_painter(), folder / "any.tflite"),
        "fixed": write_litert(tiny_painter(), folder / "fixed.tflite", fixed),
    }


@pytest.fixture(autouse=True)
def quick(request, monkeypatch):
    """Measure once, and no memory."""
    monkeypatch.setattr(parity, "SHIPPED_SIDES", (48, 63))
    monkeypatch.setattr(parity, "RUN_SECONDS", 0)
    if "memory" not in request.node.name:
        monkeypatch.setattr(parity, "peak_memory_mb", lambda painter, height, width: height / 10)


def test_a_saved_model_is_compared_in_both_signatures(exports, tiny_painter):
    report = verify(exports["saved-model"].parent, tiny_painter())
    assert report.passed
    assert [(row.signature, row.height, row.width) for row in report.rows] == [
        ("serving_default", 32, 48),
        ("serving_default", 42, 63),
        ("stylize_bytes", 42, 63),
    ]
    assert report.warmup_requests == 2
    assert all(row.latency_ms > 0 and row.picture == "lake.jpg" for row in report.rows)
    sizes = [p.stat().st_size for p in exports["saved-model"].rglob("*") if p.is_file()]
    assert (report.file_bytes, report.memory_mb) == (sum(sizes), 4.2)


def test_a_litert_file_is_compared_at_its_own_size(exports, tiny_painter):
    report = verify(exports["fixed"], tiny_painter())
    assert report.passed
    assert [(row.signature, row.height, row.width) for row in report.rows] == [("stylize", 32, 48)]
    assert report.file_bytes == exports["fixed"].stat().st_size
    assert report.warmup_requests == 0


def test_photographs_are_compared_at_their_size(exports, tiny_painter, tmp_path, monkeypatch):
    monkeypatch.setattr(parity, "LARGEST_SIDE", 100)
    Image.effect_noise((40, 30), 80).save(tmp_path / "a.png")
    Image.effect_noise((150, 60), 80).save(tmp_path / "b.png")
    report = verify(exports["litert"], tiny_painter(), [tmp_path])
    assert [(row.picture, row.height, row.width) for row in report.rows] == [
        ("a.png", 30, 40),
        ("b.png", 40, 100),
    ]


def test_pictures_are_no_larger_than_a_saved_model_takes():
    painter = SimpleNamespace(size=None, metadata={"max_pixels": 50**2})
    assert [max(image.shape) for _, image in parity._pictures(painter, ())] == [48, 50]


def test_differences_are_measured_in_levels(exports, tiny_painter, monkeypatch):
    def off(self, image, style_weights=None):
        stylized = paint(self, image, style_weights)
        stylized[0, 0, 0] += 4 / 255
        return stylized

    paint = LiteRTPainter.__call__
    monkeypatch.setattr(LiteRTPainter, "__call__", off)
    (row,) = verify(exports["fixed"], tiny_painter()).rows
    assert row.maximum == pytest.approx(4, abs=0.3)
    assert not row.passed
    monkeypatch.setattr(LiteRTPainter, "__call__", lambda self, image, _: 0.5 + 0 * image)
    monkeypatch.setattr(parity, "paint", lambda *_, **__: np.full((32, 48, 3), 0.6))
    (row,) = verify(exports["fixed"], tiny_painter()).rows
    assert (row.maximum, row.mean) == (pytest.approx(25.5), pytest.approx(25.5))
    assert row.psnr == pytest.approx(20)


@pytest.mark.parametrize("suffix", [".tflite", ".onnx"])
def test_open_export_waits_for_no_pipe(suffix, tmp_path):
    os.mkfifo(tmp_path / f"pipe{suffix}")
    with pytest.raises(ValueError, match=r"must name a file\. Received: '.*', a pipe"):
        open_export(tmp_path / f"pipe{suffix}")


@pytest.mark.parametrize("export", ["saved-model", "fixed"])
def test_an_export_of_other_weights_fails(export, exports, tiny_painter):
    network = tiny_painter()
    other = type(network).from_config(network.get_config())
    other.set_weights([1.01 * weight for weight in network.get_weights()])
    report = verify(exports[export], other)
    assert not report.passed
    assert "FAILED" in report.to_text()


@pytest.mark.parametrize(("all_styles", "style"), [(True, None), (False, "storm")])
@pytest.mark.slow
def test_styles_of_a_network_of_several_are_compared(all_styles, style, tiny_painter, tmp_path):
    network = tiny_painter(names=("calm", "storm"))
    config = ExportConfig(format="litert", all_styles=all_styles, style=style, size=32)
    path = write_litert(network, tmp_path / "weather.tflite", config)
    assert verify(path, network).passed
    swapped = type(network).from_config(network.get_config())
    swapped.set_weights(
        [weight[::-1] if len(weight) == 2 else weight for weight in network.get_weights()]
    )
    assert not verify(path, swapped).passed


def test_an_export_of_another_architecture_is_refused(exports, tiny_painter):
    text = r"holds style 1 of a LeanNet, but the network is a TransformNet with number of styles 1"
    with pytest.raises(ValueError, match=text):
        verify(exports["litert"], tiny_painter("full"))


def test_open_export_tells_formats_by_the_path(exports, tmp_path):
    assert isinstance(open_export(exports["litert"]), LiteRTPainter)
    assert isinstance(open_export(str(exports["saved-model"].parent)), SavedModelPainter)
    with pytest.raises(FileNotFoundError):
        open_export(tmp_path / "gone.tflite")
    with pytest.raises(FileNotFoundError):
        open_export(tmp_path / "gone")


@pytest.mark.skipif(sys.platform != "linux", reason="memory is only known on Linux")
@pytest.mark.parametrize("export", [pytest.param("saved-model", marks=pytest.mark.slow), "litert"])
def test_memory_is_measured_in_a_process_of_its_own(export, exports):
    assert 0.5 < peak_memory_mb(open_export(exports[export]), 90, 130) < 1000


# The report


@pytest.fixture
def report():
    """A report as of a file of one size."""
    row = Row(
        picture="lake.jpg",
        signature="stylize",
        height=32,
        width=48,
        maximum=0.5,
        mean=0.1,
        psnr=60.0,
        latency_ms=2.0,
        passed=True,
    )
    return Report(
        export="fixed.tflite",
        metadata={"precision": "float16"},
        file_bytes=30_000,
        memory_mb=3.2,
        warmup_requests=0,
        rows=(row,),
    )


def test_report_goes_to_json(report, tmp_path):
    report.save(tmp_path / "report.json")
    kept = json.loads((tmp_path / "report.json").read_text())
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]
    assert kept["passed"] is True
    assert kept["tolerances"] == json.loads(json.dumps(TOLERANCES))
    assert kept["rows"] == [dataclasses.asdict(row) for row in report.rows]
    assert {field.name for field in dataclasses.fields(Report)} < set(kept)


def test_report_is_a_table(report):
    first, head, row = report.to_text().splitlines()
    assert "fixed.tflite: float16, 0.0" in first
    assert "takes 3 MB of memory at 32x48" in first
    assert head.split()[:6] == ["picture", "signature", "size", "max", "mean", "PSNR"]
    assert row.split()[:3] == ["lake.jpg", "stylize", "32x48"]
    assert row.split()[-1] == "ok"
    assert row.split()[3:7] == ["0.500", "0.1000", "60.0", "2"]
    unknown = dataclasses.replace(report, memory_mb=None)
    assert "takes ? MB" in unknown.to_text()


def test_parity_error_keeps_the_report(report):
    error = ParityError(report)
    assert error.report is report
    assert str(error).startswith("The export as float16 differs from the network by more than")


def test_text_is_written_in_utf_8_whatever_the_system_writes(tmp_path):
    path = str(tmp_path / "a")
    code = f"from tfstyle.pictures.files import write; write({path!r}, chr(233))"
    ascii_only = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    subprocess.run([sys.executable, "-c", code], env=os.environ | ascii_only, check=True)
    assert (tmp_path / "a").read_bytes() == "é".encode()
