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
from tfstyle.pictures.files import write

try:
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.interpreter import Interpreter
    from ai_edge_litert.tools import flatbuffer_utils
except ImportError as error:
    raise ImportError("LiteRT files need ai-edge-litert: pip install 'tfstyle[litert]'.") from error

SIGNATURE = "stylize"
METADATA = "tfstyle.json"
RESIZABLE_SIDE = 256  # at which a file for any size is calibrated, and opened

# What both XNNPACK and the GPU delegate run (gpu_compatibility.cc of TensorFlow 2.21), but for
# int8 in the GPU delegate.
OPERATORS = frozenset(
    "ABS ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTH_TO_SPACE DEQUANTIZE FULLY_CONNECTED "
    "LOGISTIC MAXIMUM MAX_POOL_2D MEAN MINIMUM MUL QUANTIZE RELU RESHAPE RSQRT SPACE_TO_DEPTH SQRT "
    "STRIDED_SLICE SUB".split()
)


def write_litert(network, path, config=None, *, calibration=(), check=None):
    """Write a network as a `.tflite` file, and what there is to know of it as JSON beside it.

    The signature `stylize` takes `image`, float32 `(1, height, width, 3)`, RGB in [0, 1], and
    returns `stylized`, of the same shape and range. Sides must be multiples of the network's
    `multiple`; a file of a fixed size takes no other. Where the network keeps several styles,
    there is an input `style_weights`, float32 `(1, number of styles)`, that should sum to 1. The
    JSON is in the file, too: the metadata buffer named `tfstyle.json`.

    A network of any style becomes a pair of files. This one has an input `code`, float32
    `(1, 1, 1, code size)`; the other, see `encoder_path`, reads it: its signature `encode` takes
    `painting`, float32 `(1, height, width, 3)`, RGB in [0, 1], best with a long side of 512 px, and
    returns `code`. Its weights are in float16 where this one's are in 8 bits: it runs once for each
    painting, and its errors would be seen in every picture.

    A file of format "web" has two inputs more, `moments` and `own`, and an output `used`, so that
    large pictures are painted in pieces: `tfstyle.export.moments` has them.

    Args:
        network: `tfstyle.networks.Generator`.
        path: Path to write to, `.tflite`.
        config: `ExportConfig` of format "litert", "android" or "web".
        calibration: Photographs, files or folders, that the ranges of int8 are taken from.
            Default: pieces of the pictures that ship with the package.
        check: Function that is called with the path of a copy before `path` is written; it may
            raise an exception.

    Returns:
        `path`.

    Raises:
        ValueError: If the size does not suit the network, the network has no such style, or the
            name is one for an encoder.
    """
    from tfstyle.export.frozen import describe, freeze

    config = config or ExportConfig(format="litert")
    path = Path(path)
    if path.stem.endswith("_encoder"):
        raise ValueError(
            "A name that ends in '_encoder' is that of a file which reads paintings for another. "
            f"Received: '{path}'. Choose another."
        )
    if config.sides and any(side % network.multiple for side in config.sides):
        raise ValueError(
            f"Both sides of `size` must be multiples of {network.multiple} with this network. "
            f"Received: size={config.size}."
        )
    frozen = freeze(network, config)
    metadata = describe(frozen, config)
    files = [_convert(frozen, config, calibration)]
    if metadata["painting"]:
        files.append(_convert_encoder(frozen, config))
    for data in files:
        foreign = set(operators(data)) - OPERATORS
        if foreign:
            raise ValueError(f"The converter made operators that phones do not run: {foreign}.")
    names = path.name, encoder_path(path, config.sides).name
    files = {name: with_metadata(data, metadata) for name, data in zip(names, files, strict=False)}
    if check is not None:
        with tempfile.TemporaryDirectory() as folder:
            for name, data in files.items():
                temporary = Path(folder) / name
                temporary.write_bytes(data)
            check(Path(folder) / path.name)
    for name, data in reversed(files.items()):  # one that paints never lacks its encoder
        write(path.with_name(name), data)
    write(path.with_suffix(".json"), json.dumps(metadata, indent=2, ensure_ascii=False))
    return path


def encoder_path(path, sides=None):
    """Return the path of the file that reads the codes for a network of any style.

    Args:
        path: The file that paints.
        sides: Tuple (height, width) if it takes no other size. Files of several sizes whose names
            end in it share an encoder: any_256.tflite and any_512.tflite have any_encoder.tflite.
    """
    stem = path.stem
    if sides:
        height, width = sides
        stem = stem.removesuffix(f"_{height}x{width}")
        if height == width:
            stem = stem.removesuffix(f"_{height}")
    return path.with_name(f"{stem}_encoder{path.suffix}")


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
        FileNotFoundError: If there is no such file, or no encoder beside one of any style.
        ValueError: If it is not one of tfstyle.
    """

    signature = SIGNATURE

    def __init__(self, path, threads=None):
        self.path, self._threads, self._encode = Path(path), threads, None
        self.metadata = read_metadata(self.path.read_bytes())
        if self.metadata is None:
            raise ValueError(f"'{path}' is not a LiteRT file of tfstyle.")
        self._interpreter = Interpreter(str(self.path), num_threads=threads)
        if SIGNATURE not in self._interpreter.get_signature_list():
            raise ValueError(
                f"'{path}' reads paintings and paints nothing. Name a file that it lies beside."
            )
        self._run = self._interpreter.get_signature_runner(SIGNATURE)
        height, width = self._run.get_input_details()["image"]["shape_signature"][1:3]
        self.size = None if height < 0 else (int(height), int(width))
        self._encoder = encoder_path(self.path, self.size)
        if self.metadata.get("painting") and not self._encoder.is_file():
            raise FileNotFoundError(
                f"'{path}' takes codes of paintings, which '{self._encoder.name}' reads. There is "
                "none beside it: keep the two together, or export them again."
            )

    def encode(self, painting):
        """Return the code of a painting, a float32 array `(height, width, 3)` in [0, 1]."""
        if self._encode is None:
            interpreter = Interpreter(str(self._encoder), num_threads=self._threads)
            self._encode = interpreter.get_signature_runner("encode")
        return self._encode(painting=np.asarray(painting, np.float32)[None])["code"]

    def __call__(self, image, style=None):
        """Paint a float32 array `(height, width, 3)` in [0, 1].

        Args:
            image: The photograph.
            style: Style weights, where the file keeps several; a painting, an array as `image` is,
                where it paints in the style of any.

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
        inputs = {"image": np.pad(np.asarray(image, np.float32), [*more, (0, 0)], "reflect")[None]}
        if self.metadata.get("painting"):
            inputs["code"] = self.encode(style)
        elif count := self.metadata["style_weights"]:
            weights = np.eye(1, count) if style is None else np.asarray(style)
            inputs["style_weights"] = np.float32(weights).reshape(1, count)
        if count := self.metadata.get("moments"):
            inputs["moments"] = np.zeros((1, 1, 1, count), np.float32)
            inputs["own"] = np.ones((1, 1, 1, 1), np.float32)
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
    """Return a file's bytes with a dictionary in its buffer `tfstyle.json`, ready to be opened."""
    model = flatbuffer_utils.read_model_from_bytearray(bytearray(data))
    _set_first_size(model.subgraphs[0])
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


def _set_first_size(graph):
    """Set the size that a graph is opened at, if it takes any: Java's interpreter prepares what it
    opens, and the converter leaves a single pixel, which no network can paint."""
    for tensor in (graph.tensors[index] for index in graph.inputs):
        if tensor.shapeSignature is not None:
            given = np.asarray(tensor.shapeSignature)
            tensor.shape = np.where(given < 0, RESIZABLE_SIDE, given).astype(np.int32)


def _convert(frozen, config, calibration):
    """Return the bytes of a `.tflite` file."""
    import tensorflow as tf

    from tfstyle.export.frozen import equalize_channels, style_input
    from tfstyle.export.moments import moments_size, paint_with_moments

    sides, takes = config.sides or (None, None), style_input(frozen)
    given = {"image": tf.TensorSpec([1, *sides, 3], tf.float32)}
    if takes == "style_weights":
        given[takes] = tf.TensorSpec([1, frozen.num_styles], tf.float32)
    elif takes == "painting":
        given["code"] = tf.TensorSpec([1, 1, 1, frozen.num_styles], tf.float32)
    points = list(given)[1:]  # the name of what says how to paint, if anything does
    if config.format == "web":
        given["moments"] = tf.TensorSpec([1, 1, 1, moments_size(frozen)], tf.float32)
        given["own"] = tf.TensorSpec([1, 1, 1, 1], tf.float32)

    def stylize(image, **given):
        (point,) = [tf.reshape(given[x], [1, frozen.num_styles]) for x in points] or [None]
        if "moments" not in given:
            return {"stylized": tf.clip_by_value(frozen.paint(image, point), 0, 1)}
        stylized, used = paint_with_moments(frozen, image, point, given["moments"], given["own"])
        return {"stylized": tf.clip_by_value(stylized, 0, 1), "used": used}

    examples: list | tuple = ()
    if config.chosen_precision == "int8":
        pictures = calibration_pictures(config.sides or (RESIZABLE_SIDE,) * 2, calibration)
        if takes == "painting":
            codes = [np.asarray(frozen.encode(picture[None])) for picture in pictures[::-1]]
        else:
            codes = np.random.default_rng(0).dirichlet(np.ones(frozen.num_styles), len(pictures))
        examples = [
            (picture[None], np.float32(code).reshape(1, -1))
            for picture, code in zip(pictures, codes, strict=True)
        ]
        equalize_channels(frozen, examples)

    def representative():
        for picture, code in examples:
            yield {"image": picture} | {name: code.reshape(given[name].shape) for name in points}

    traced = tf.function(stylize, autograph=False).get_concrete_function(**given)
    return _converted(frozen, SIGNATURE, traced, config.chosen_precision, representative)


def _convert_encoder(frozen, config):
    """Return the bytes of the file that reads a painting's code."""
    import tensorflow as tf

    def encode(painting):
        return {"code": frozen.encode(painting)[:, None, None]}

    painting = tf.TensorSpec([1, None, None, 3], tf.float32)
    traced = tf.function(encode, autograph=False).get_concrete_function(painting=painting)
    precision = "float32" if config.chosen_precision == "float32" else "float16"
    return _converted(frozen, "encode", traced, precision)


def _converted(frozen, name, traced, precision, examples=None):
    """Return a traced function as the bytes of a file, under a signature's name."""
    import tensorflow as tf

    root = tf.train.Checkpoint()
    root.variables = [weight.value for weight in frozen.weights]
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on tf.lite, which is to go: ai-edge-litert cannot convert
        tf.saved_model.save(root, folder, signatures={name: traced})
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=[name])
        if precision == "int8":
            return _convert_to_int8(converter, examples)
        if precision == "float16":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.target_spec.supported_types = [tf.float16]
        data = converter.convert()
        return _with_small_kernels(data) if precision == "dynamic" else data


def _with_small_kernels(data):
    """Return a file, given as bytes, with the kernels of its convolutions, but for the first and
    the last, in 8 bits: LiteRT then rounds what they are given to 8 bits, too, as it comes.

    TensorFlow's converter would do so with all weights. Scales and shifts of a painting, and what
    meets the eye last, lose too much by that.
    """
    model = flatbuffer_utils.read_model_from_bytearray(bytearray(data))
    graph = model.subgraphs[0]
    kernels = {operator.inputs[1] for operator in _convolutions(graph)[1:-1]}
    before = {graph.tensors[index].buffer for index in kernels}  # equal constants share one
    for kernel in (graph.tensors[index] for index in sorted(kernels)):
        data = bytes(model.buffers[kernel.buffer].data)
        values = np.frombuffer(data, np.float32).reshape(kernel.shape)
        scale = np.maximum(np.abs(values).max((1, 2, 3)), 1e-9) / 127
        short = np.round(values / scale[:, None, None, None]).astype(np.int8)
        kernel.buffer, buffer = len(model.buffers), schema.BufferT()
        buffer.data = np.frombuffer(short.tobytes(), np.uint8)
        model.buffers.append(buffer)
        kernel.type, kernel.quantization = schema.TensorType.INT8, schema.QuantizationParametersT()
        kernel.quantization.scale = scale
        kernel.quantization.zeroPoint = np.zeros(len(scale), np.int64)
    for index in before - {tensor.buffer for tensor in graph.tensors}:
        model.buffers[index].data = None
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def _convert_to_int8(converter, examples):
    """Return the bytes of a file whose convolutions, but for the first and the last, are int8."""
    import tensorflow as tf

    # Instance norms, and what meets the eye first and last, would lose most of the precision.
    model = flatbuffer_utils.read_model_from_bytearray(bytearray(converter.convert()))
    graph = model.subgraphs[0]
    names = [graph.tensors[each.outputs[0]].name.decode() for each in _convolutions(graph)]
    options = tf.lite.experimental.QuantizationDebugOptions(
        denylisted_ops=sorted(OPERATORS - {"CONV_2D", "QUANTIZE", "DEQUANTIZE"}),
        denylisted_nodes=[names[0], names[-1]],
    )
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = examples
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    debugger = tf.lite.experimental.QuantizationDebugger(
        converter=converter, debug_dataset=examples, debug_options=options
    )
    return debugger.get_nondebug_quantized_model()


def _convolutions(graph):
    """Return the convolutions of a graph in their order."""
    kind = schema.Conv2DOptionsT
    return [each for each in graph.operators if isinstance(each.builtinOptions, kind)]
