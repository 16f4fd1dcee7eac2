"""Networks as files for LiteRT (formerly TensorFlow Lite), and a painter that runs them."""

import collections
import json
import tempfile
import warnings
from pathlib import Path

import numpy as np

from tfstyle.export.calibration import calibration_pictures
from tfstyle.export.config import ExportConfig
from tfstyle.pictures import MIN_SIDE
from tfstyle.pictures.files import write, writing

try:
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.interpreter import Interpreter
    from ai_edge_litert.tools import flatbuffer_utils
except ImportError as error:
    raise ImportError("LiteRT files need ai-edge-litert: pip install 'tfstyle[litert]'.") from error

SIGNATURE = "stylize"
METADATA = "tfstyle.json"
RESIZABLE_SIDE = 256  # of the pictures that a file for any size is calibrated with

# What both XNNPACK and the GPU delegate run (gpu_compatibility.cc of TensorFlow 2.21), but for
# int8 in the GPU delegate.
OPERATORS = frozenset(
    "ADD CONCATENATION CONV_2D DEPTH_TO_SPACE DEQUANTIZE FULLY_CONNECTED LOGISTIC MAXIMUM MEAN "
    "MINIMUM MUL QUANTIZE RELU RESHAPE RSQRT SPACE_TO_DEPTH STRIDED_SLICE SUB".split()
)


def write_litert(network, path, config=None, *, calibration=(), check=None):
    """Write a network as a `.tflite` file, and what there is to know of it as JSON beside it.

    The signature `stylize` takes `image`, float32 `(1, height, width, 3)`, RGB in [0, 1], and
    returns `stylized`, of the same shape and range. Sides must be multiples of the network's
    `multiple`; a file of a fixed size takes no other. Where the network keeps several styles,
    there is an input `style_weights`, float32 `(1, number of styles)`, that should sum to 1. The
    JSON is in the file, too: the metadata buffer named `tfstyle.json`.

    Args:
        network: `tfstyle.networks.Generator`.
        path: Path to write to, `.tflite`.
        config: `ExportConfig` of format "litert" or "android".
        calibration: Photographs, files or folders, that the ranges of int8 are taken from.
            Default: pieces of the pictures that ship with the package.
        check: Function that is called with the path of what was written before it gets its name;
            it may raise an exception.

    Returns:
        `path`.

    Raises:
        ValueError: If the size does not suit the network, or the network has no such style.
    """
    from tfstyle.export.frozen import describe, freeze

    config = config or ExportConfig(format="litert")
    path = Path(path)
    if config.sides and any(side % network.multiple for side in config.sides):
        raise ValueError(
            f"Both sides of `size` must be multiples of {network.multiple} with this network. "
            f"Received: size={config.size}."
        )
    frozen = freeze(network, config)
    metadata = describe(frozen, config)
    data = with_metadata(_convert(frozen, config, calibration), metadata)
    foreign = set(operators(data)) - OPERATORS
    if foreign:
        raise ValueError(f"The converter made operators that phones do not run: {foreign}.")
    with writing(path) as temporary:
        temporary.write_bytes(data)
        if check is not None:
            check(temporary)
    write(path.with_suffix(".json"), json.dumps(metadata, indent=2, ensure_ascii=False))
    return path


class LiteRTPainter:
    """Paint with a file that `write_litert` wrote. Needs no TensorFlow; not for several threads.

    Args:
        path: The file.
        threads: Number of threads to compute with. Default: LiteRT's own choice.

    Attributes:
        metadata: The dictionary that the file holds.
        signature: Name of the signature that paints.
        size: Tuple (height, width) if the file takes no other size, else None.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not one of tfstyle.
    """

    signature = SIGNATURE

    def __init__(self, path, threads=None):
        self.path = Path(path)
        self.metadata = read_metadata(self.path.read_bytes())
        if self.metadata is None:
            raise ValueError(f"'{path}' is not a LiteRT file of tfstyle.")
        self._interpreter = Interpreter(str(self.path), num_threads=threads)
        self._run = self._interpreter.get_signature_runner(SIGNATURE)
        height, width = self._run.get_input_details()["image"]["shape_signature"][1:3]
        self.size = None if height < 0 else (int(height), int(width))

    def __call__(self, image, style_weights=None):
        """Paint a float32 array `(height, width, 3)` in [0, 1].

        Raises:
            ValueError: If the file cannot take a picture of this size.
        """
        height, width = image.shape[:2]
        # LiteRT itself would go on, and may return a picture of the old size.
        if self.size and self.size != (height, width):
            raise ValueError(
                f"'{self.path.name}' takes pictures {self.size[0]} high and {self.size[1]} wide. "
                f"Received: {height} high and {width} wide. Resize it, or export without `size`."
            )
        if min(height, width) < MIN_SIDE:
            raise ValueError(
                f"A picture must have at least {MIN_SIDE} pixels on each side. "
                f"Received: {height} high and {width} wide."
            )
        more = [(0, -side % self.metadata["multiple"]) for side in (height, width)]
        inputs = {"image": np.float32(np.pad(image, [*more, (0, 0)], "reflect"))[None]}
        count = self.metadata["style_weights"]
        if count:
            weights = np.eye(1, count) if style_weights is None else np.asarray(style_weights)
            inputs["style_weights"] = np.float32(weights).reshape(1, count)
        return self._run(**inputs)["stylized"][0, :height, :width]


def operators(data):
    """Return how often each operator stands in a file, given as bytes: a `Counter` of names."""
    names = {code: name for name, code in vars(schema.BuiltinOperator).items() if name[0] != "_"}
    model = flatbuffer_utils.read_model_from_bytearray(bytearray(data))
    codes = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes]
    return collections.Counter(
        model.operatorCodes[operator.opcodeIndex].customCode.decode()
        if names[codes[operator.opcodeIndex]] == "CUSTOM"
        else names[codes[operator.opcodeIndex]]
        for subgraph in model.subgraphs
        for operator in subgraph.operators
    )


def with_metadata(data, metadata):
    """Return a file's bytes with a dictionary in its buffer `tfstyle.json`."""
    model = flatbuffer_utils.read_model_from_bytearray(bytearray(data))
    buffer, entry = schema.BufferT(), schema.MetadataT()
    text = json.dumps(metadata, ensure_ascii=False).encode()
    buffer.data = np.frombuffer(text, np.uint8)
    entry.name, entry.buffer = METADATA, len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or []), entry]
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def read_metadata(data):
    """Return the dictionary in a file's buffer `tfstyle.json`; None if there is none."""
    if data[4:8] != b"TFL3":
        return None
    model = schema.Model.GetRootAs(data)
    for number in range(model.MetadataLength()):
        entry = model.Metadata(number)
        if entry.Name() == METADATA.encode():
            return json.loads(model.Buffers(entry.Buffer()).DataAsNumpy().tobytes())
    return None


def _convert(frozen, config, calibration):
    """Return the bytes of a `.tflite` file."""
    import tensorflow as tf

    from tfstyle.export.frozen import equalize_channels

    several, sides = frozen.num_styles > 1, config.sides or (None, None)
    precision = config.chosen_precision
    given = {"image": tf.TensorSpec([1, *sides, 3], tf.float32)}
    if several:
        given["style_weights"] = tf.TensorSpec([1, frozen.num_styles], tf.float32)

    def stylize(image, style_weights=None):
        return {"stylized": tf.clip_by_value(frozen.paint(image, style_weights), 0, 1)}

    if precision == "int8":
        pictures = calibration_pictures(config.sides or (RESIZABLE_SIDE,) * 2, calibration)
        blends = np.random.default_rng(0).dirichlet(np.ones(frozen.num_styles), len(pictures))
        examples = [
            (picture[None], blend[None])
            for picture, blend in zip(pictures, np.float32(blends), strict=True)
        ]
        equalize_channels(frozen, examples)

    def representative():
        for picture, blend in examples:
            yield {"image": picture} | ({"style_weights": blend} if several else {})

    root = tf.train.Checkpoint()
    root.variables = [weight.value for weight in frozen.weights]
    traced = tf.function(stylize, autograph=False).get_concrete_function(**given)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on tf.lite, which is to go: ai-edge-litert cannot convert
        tf.saved_model.save(root, folder, signatures={SIGNATURE: traced})
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=[SIGNATURE])
        if precision == "int8":
            return _convert_to_int8(converter, representative)
        if precision != "float32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if precision == "float16":
            converter.target_spec.supported_types = [tf.float16]
        return converter.convert()


def _convert_to_int8(converter, examples):
    """Return the bytes of a file whose convolutions, but for the first and the last, are int8."""
    import tensorflow as tf

    # Instance norms, and what meets the eye first and last, would lose most of the precision.
    convolutions = _convolutions(converter.convert())
    options = tf.lite.experimental.QuantizationDebugOptions(
        denylisted_ops=sorted(OPERATORS - {"CONV_2D", "QUANTIZE", "DEQUANTIZE"}),
        denylisted_nodes=[convolutions[0], convolutions[-1]],
    )
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = examples
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    debugger = tf.lite.experimental.QuantizationDebugger(
        converter=converter, debug_dataset=examples, debug_options=options
    )
    return debugger.get_nondebug_quantized_model()


def _convolutions(data):
    """Return the names of what the convolutions of a file return, in their order."""
    model = flatbuffer_utils.read_model_from_bytearray(bytearray(data))
    graph = model.subgraphs[0]
    return [
        graph.tensors[operator.outputs[0]].name.decode()
        for operator in graph.operators
        if isinstance(operator.builtinOptions, schema.Conv2DOptionsT)
    ]
