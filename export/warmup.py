"""Requests that TensorFlow Serving runs on a version before it answers with it."""

import importlib.util
import math
from pathlib import Path

import tensorflow as tf

from tfstyle.export.frozen import style_input

FILE = "assets.extra/tf_serving_warmup_requests"
SIDE = 256


def write_warmup(saved_model, config, frozen):
    """Write a request for each signature, so that the first picture of a user is not the slow one.

    Nothing is written without the package tensorflow-serving-api, which describes requests.

    Args:
        saved_model: Folder of the SavedModel.
        config: `ExportConfig`.
        frozen: The network, which says what the signatures take beside the photograph.

    Returns:
        Number of requests written.
    """
    if importlib.util.find_spec("tensorflow_serving") is None:
        return 0
    from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

    side = min(SIDE, math.isqrt(config.max_pixels))
    grey = tf.fill([side, side, 3], tf.constant(128, tf.uint8))
    given = {
        "serving_default": {"image": tf.cast(grey, tf.float32)[None] / 255},
        "stylize_bytes": {"image_bytes": tf.io.encode_jpeg(grey)[None]},
    }
    path = Path(saved_model) / FILE
    path.parent.mkdir()
    with tf.io.TFRecordWriter(str(path)) as writer:
        for name, inputs in given.items():
            takes = style_input(frozen)
            if takes == "style_weights":
                inputs["style_weights"] = tf.one_hot([0], frozen.num_styles)
            elif takes == "painting":
                inputs |= {name.replace("image", "painting"): x for name, x in inputs.items()}
            log = PredictionLog()
            request = log.predict_log.request
            request.model_spec.signature_name = name
            for key, value in inputs.items():
                request.inputs[key].CopyFrom(tf.make_tensor_proto(value))
            writer.write(log.SerializeToString())
    return len(given)


def replay_warmup(saved_model, loaded):
    """Run a SavedModel's warm-up requests: one that fails would keep a server from loading it.

    Args:
        saved_model: Its folder.
        loaded: What `tf.saved_model.load` returned.

    Returns:
        Number of requests run; 0 without requests, or without the package tensorflow-serving-api.

    Raises:
        tf.errors.OpError: If a request fails.
    """
    path = Path(saved_model) / FILE
    if not path.is_file() or importlib.util.find_spec("tensorflow_serving") is None:
        return 0
    from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

    records = list(tf.data.TFRecordDataset(str(path)).as_numpy_iterator())
    for record in records:
        request = PredictionLog.FromString(record).predict_log.request
        inputs = {key: tf.constant(tf.make_ndarray(proto)) for key, proto in request.inputs.items()}
        loaded.signatures[request.model_spec.signature_name](**inputs)
    return len(records)
