"""Memory that an exported network takes, measured in a process of its own."""

import os
import subprocess
import sys

# Runs without tfstyle, as what was exported does elsewhere.
SCRIPT = """
import sys
import numpy as np

def peak():
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))

path, signature = sys.argv[1:3]
height, width, styles, code, moments = map(int, sys.argv[3:])
inputs = {"image": np.full((1, height, width, 3), 0.5, np.float32)}
if styles:
    inputs["style_weights"] = np.eye(1, styles, dtype=np.float32)
if code and path.endswith(".tflite"):
    inputs["code"] = np.eye(1, code, dtype=np.float32)[None, None]
elif code:
    inputs["painting"] = inputs["image"]
if moments:
    inputs["moments"] = np.zeros((1, 1, 1, moments), np.float32)
    inputs["own"] = np.ones((1, 1, 1, 1), np.float32)
if path.endswith(".tflite"):
    from ai_edge_litert.interpreter import Interpreter
    before = peak()
    Interpreter(path).get_signature_runner(signature)(**inputs)
elif path.endswith(".onnx"):
    import onnxruntime
    before = peak()
    onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, inputs)
else:
    import tensorflow as tf
    before = peak()
    inputs = {name: tf.constant(value) for name, value in inputs.items()}
    tf.saved_model.load(path).signatures[signature](**inputs)
print(peak() - before)
"""


def peak_memory_mb(painter, height, width):
    """Return what loading an export and painting one picture takes at its peak, in megabytes.

    Args:
        painter: What `tfstyle.export.parity.open_export` returned.
        height: Height of the picture in pixels.
        width: Width in pixels.

    Returns:
        A number, without the libraries' own memory; None where the system does not tell.
    """
    multiple = painter.metadata["multiple"]
    sides = (str(side + -side % multiple) for side in (height, width))
    more = (str(painter.metadata.get(key) or 0) for key in ("style_weights", "code", "moments"))
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(painter.path), painter.signature, *sides, *more],
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
    )
    return int(done.stdout.split()[-1]) / 1e3 if done.returncode == 0 else None
