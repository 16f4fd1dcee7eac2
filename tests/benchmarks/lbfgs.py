"""Our L-BFGS beside SciPy's L-BFGS-B: seconds, and the loss after so many evaluations.

    python tests/benchmarks/lbfgs.py CONTENT STYLE [--size 288 --steps 100]

Both lower the loss of the recipe `default` in float32 from the picture that it starts from, in one
process, one after the other. TFSTYLE_VGG19_WEIGHTS names the loss network's weights.
"""

import argparse
import contextlib
import itertools
import time

import keras
import numpy as np
import scipy.optimize

import tfstyle
from tfstyle.config import recipe_with
from tfstyle.losses import terms_of
from tfstyle.model import StyleContentModel
from tfstyle.networks import Canvas, FeatureExtractor, load_network
from tfstyle.optimize.lbfgs import minimize
from tfstyle.pictures import read_image, resize


class DoneError(Exception):
    """Ends a search."""


def scipys(evaluate, x, bounds):
    """Call `evaluate` as SciPy wants it."""

    def function(pixels):
        loss, gradient = evaluate(pixels.reshape(x.shape))
        return loss, keras.ops.convert_to_numpy(gradient).astype(np.float64).ravel()

    options = {"maxcor": 10, "maxiter": 10**6, "maxfun": 10**6, "ftol": 0, "gtol": 0}
    pixels = np.float64(x).ravel()
    low, high = (float(bound[0]) for bound in bounds)
    scipy.optimize.minimize(
        function, pixels, jac=True, method="L-BFGS-B", bounds=[(low, high)] * pixels.size,
        options=options,
    )  # fmt: skip


def main(options):
    given = options.content, options.style
    content, style = (resize(read_image(path).rgb, options.size) for path in given)
    start = tfstyle.stylize(content, style, "instant")
    start = np.float32(np.asarray(start)[None]) / 255
    recipe = recipe_with("default")
    model = StyleContentModel(
        Canvas(*content.shape[:2]),
        FeatureExtractor(load_network(), recipe.layers),
        terms_of(recipe),
    )
    model.set_content(content[None])
    model.set_style([style[None]])
    compute = model.loss_and_gradient()
    compute(None)  # compiled before either is timed
    shown = [step for step in (5, 10, 20, 30, 50, 75, 100, 150, 200) if step <= options.steps]
    print("evaluations", *(f"{step:>7}" for step in shown))
    for name, search in {"ours": minimize, "SciPy": scipys}.items():
        losses, begun = [], time.perf_counter()

        def evaluate(picture, losses=losses):
            if len(losses) == options.steps:
                raise DoneError
            model.stylizer.picture.assign(picture)
            loss, gradient = compute(None)
            losses.append(float(loss["loss"]))
            return losses[-1], gradient

        with contextlib.suppress(DoneError):
            search(evaluate, keras.ops.convert_to_tensor(start), model.stylizer.bounds)
        seconds, best = time.perf_counter() - begun, list(itertools.accumulate(losses, min))
        print(f"{name:<11}", *(f"{best[min(s, len(best)) - 1]:7.4f}" for s in shown), end="")
        print(f"   {seconds / len(losses):.3f} s an evaluation", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("content")
    parser.add_argument("style")
    parser.add_argument("--size", type=int, default=288)
    parser.add_argument("--steps", type=int, default=100)
    main(parser.parse_args())
