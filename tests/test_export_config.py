"""Export settings: what goes with what."""

import pytest

from tfstyle.export.config import ExportConfig


def test_config_has_a_precision_for_each_format():
    chosen = {
        format: ExportConfig(format=format).chosen_precision
        for format in ("saved-model", "litert", "android", "web")
    }
    assert [*chosen.values()] == ["float32", "float32", "float16", "float16"]
    assert ExportConfig(format="android", precision="int8").chosen_precision == "int8"


@pytest.mark.parametrize(
    ("size", "sides"),
    [(None, None), (512, (512, 512)), ("512", (512, 512)), ("384x512", (384, 512))],
)
def test_config_reads_sizes(size, sides):
    assert ExportConfig(format="litert", size=size).sides == sides


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        (
            {"format": "coreml"},
            r"must be one of \('saved-model', .*'onnx', 'web'\)",
        ),
        ({"format": "web", "precision": "int8"}, r"one of \('float32', 'float16'\) with format"),
        ({"format": "web", "size": 512}, "as ONNX and the page do: `size` is for LiteRT"),
        ({"format": "onnx", "precision": "int8"}, r"one of \('float32',\) with format 'onnx'"),
        ({"encoding": "gif"}, r"`encoding` must be one of \('jpeg', 'png'\)"),
        ({"precision": "int8"}, r"`precision` must be one of \('float32',\) with format 'saved-"),
        ({"format": "litert", "precision": "int4"}, r"'dynamic', 'int8'\) with format 'litert'"),
        ({"size": 512}, "A SavedModel takes pictures of any size"),
        ({"format": "litert", "size": 8}, "`size` must be at least 16 px. Received: size=8."),
        ({"format": "litert", "size": "big"}, "such as 512 or 384x512. Received: size='big'."),
        ({"all_styles": True, "style": "wave"}, "goes neither with `style` nor"),
        ({"all_styles": True, "format": "android"}, "goes neither with `style` nor"),
        ({"max_pixels": 100}, "`max_pixels` must be at least 256. Received: 100."),
    ],
)
def test_config_refuses_what_does_not_go_together(fields, text):
    with pytest.raises(ValueError, match=text):
        ExportConfig(**fields)
