"""Networks as ONNX files, and a painter that runs them."""

import json
from pathlib import Path

import numpy as np

from tfstyle.export.config import ExportConfig
from tfstyle.pictures.files import writing

try:
    import onnxruntime
except ImportError as error:
    raise ImportError("ONNX files need onnxruntime: pip install 'tfstyle[onnx]'.") from error

METADATA = "tfstyle.json"
OPSET = 17  # of 2022, which runtimes in phones and browsers know


def write_onnx(network, path, config=None, *, check=None):
    """Write a network as an `.onnx` file.

    It takes `image`, float32 `(batch, height, width, 3)`, RGB in [0, 1], of any size, and returns
    `stylized`, of the same shape and range. Where the network keeps several styles, there is an
    input `style_weights`, float32 `(batch, number of styles)`, that should sum to 1. What there is
    to know of the network is in the file's property `tfstyle.json`.

    Args:
        network: `tfstyle.networks.Generator`.
        path: Path to write to, `.onnx`.
        config: `ExportConfig` of format "onnx".
        check: Function that is called with the path of what was written before it gets its name;
            it may raise an exception.

    Returns:
        `path`.

    Raises:
        ImportError: If there is no converter, tf2onnx.
        ValueError: If the network has no such style.
    """
    import tensorflow as tf

    from tfstyle.export.frozen import describe, freeze

    try:
        import onnx
        import tf2onnx
    except ImportError as error:
        raise ImportError("ONNX files need tf2onnx: pip install 'tfstyle[onnx]'.") from error
    config, path = config or ExportConfig(format="onnx"), Path(path)
    frozen = freeze(network, config)
    given = [tf.TensorSpec([None, None, None, 3], tf.float32, "image")]
    if frozen.num_styles > 1:
        given.append(tf.TensorSpec([None, frozen.num_styles], tf.float32, "style_weights"))

    @tf.function(input_signature=given, autograph=False)
    def stylize(image, style_weights=None):
        return {"stylized": frozen(image, style_weights)}

    model, _ = tf2onnx.convert.from_function(stylize, given, opset=OPSET)
    onnx.helper.set_model_props(model, {METADATA: json.dumps(describe(frozen, config))})
    with writing(path) as temporary:
        temporary.write_bytes(model.SerializeToString())
        if check is not None:
            check(temporary)
    return path


class OnnxPainter:
    """Paint with a file that `write_onnx` wrote. Needs no TensorFlow.

    Args:
        path: The file.

    Attributes:
        metadata: The dictionary that the file holds.
        signature: A name for reports; ONNX has none.
        size: None: pictures may be of any size.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not one of tfstyle.
    """

    signature, size = "onnx", None

    def __init__(self, path):
        self.path = Path(path)
        try:
            self._session = onnxruntime.InferenceSession(
                self.path.read_bytes(), providers=["CPUExecutionProvider"]
            )
            self.metadata = json.loads(self._session.get_modelmeta().custom_metadata_map[METADATA])
        except FileNotFoundError:
            raise
        except Exception as error:  # of onnxruntime's many
            raise ValueError(f"'{path}' is not an ONNX file of tfstyle.") from error

    def __call__(self, image, style_weights=None):
        """Paint a float32 array `(height, width, 3)` in [0, 1]."""
        inputs = {"image": np.asarray(image, np.float32)[None]}
        count = self.metadata["style_weights"]
        if count:
            weights = np.eye(1, count) if style_weights is None else np.asarray(style_weights)
            inputs["style_weights"] = np.float32(weights).reshape(1, count)
        return self._session.run(["stylized"], inputs)[0][0]
