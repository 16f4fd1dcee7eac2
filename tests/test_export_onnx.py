"""ONNX files: they paint as the network does, at any size, and say what they are."""

import sys

import numpy as np
import pytest

from tfstyle.cli import main as cli
from tfstyle.export import parity
from tfstyle.export.config import ExportConfig
from tfstyle.export.footprint import peak_memory_mb
from tfstyle.export.onnx import OnnxPainter, write_onnx
from tfstyle.export.parity import open_export


@pytest.fixture(scope="module", params=["lean", pytest.param("full", marks=pytest.mark.slow)])
def pair(request, tiny_painter, tmp_path_factory):
    """A network of two styles, and its file's painter."""
    network = tiny_painter(request.param, names=("calm", "storm"))
    path = tmp_path_factory.mktemp("onnx") / "weather.onnx"
    config = ExportConfig(format="onnx", all_styles=True)
    return network, OnnxPainter(write_onnx(network, path, config))


@pytest.mark.parametrize("size", [(64, 64), (65, 80), (33, 47), (16, 131)])
def test_an_onnx_file_paints_as_the_network_at_any_size(pair, size):
    """65 by 80 came out as 64 by 80 while sides were rounded up by -(-length // multiple)."""
    network, painter = pair
    image = np.random.default_rng(0).random((*size, 3), np.float32)
    for weights in ([0.25, 0.75], [1, 0]):
        expected = network(image[None], np.float32(weights))[0]
        np.testing.assert_allclose(painter(image, weights), expected, atol=1e-4)
    np.testing.assert_allclose(painter(image), expected, atol=1e-4)  # the first style


def test_an_onnx_file_says_what_it_holds(pair):
    _, painter = pair
    assert painter.metadata["format"] == "onnx"
    assert [style["name"] for style in painter.metadata["styles"]] == ["calm", "storm"]
    assert isinstance(open_export(painter.path), OnnxPainter)


def test_other_files_are_refused(tmp_path):
    (tmp_path / "x.onnx").write_bytes(b"no model")
    with pytest.raises(ValueError, match="is not an ONNX file of tfstyle"):
        OnnxPainter(tmp_path / "x.onnx")
    with pytest.raises(FileNotFoundError):
        OnnxPainter(tmp_path / "gone.onnx")


@pytest.mark.slow
def test_a_file_that_fails_its_check_is_not_kept(tiny_painter, tmp_path):
    def refuse(path):
        assert OnnxPainter(path)
        raise RuntimeError("not good enough")

    with pytest.raises(RuntimeError, match="not good enough"):
        write_onnx(tiny_painter(), tmp_path / "ripple.onnx", check=refuse)
    assert list(tmp_path.iterdir()) == []


def test_without_the_converter_it_says_what_to_install(tiny_painter, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    with pytest.raises(ImportError, match=r"pip install 'tfstyle\[onnx\]'"):
        write_onnx(tiny_painter(), tmp_path / "ripple.onnx")


@pytest.mark.slow
def test_commands_export_and_verify(tiny_zoo, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(parity, "SHIPPED_SIDES", (48, 63))
    monkeypatch.setattr(parity, "RUN_SECONDS", 0)
    path = tmp_path / "ripple.onnx"
    assert cli.main(["export", "ripple", str(path), "--format", "onnx"]) == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["ripple.onnx", "ripple.parity.json"]
    assert cli.main(["verify", str(path)]) == 0
    assert "FAILED" not in capsys.readouterr().out
    assert cli.main(["export", "ripple", str(tmp_path / "x.bin"), "--format", "onnx"]) == 2


def test_its_memory_is_measured(pair):
    _, painter = pair
    assert peak_memory_mb(painter, 64, 64) > 0
