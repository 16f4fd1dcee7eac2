import keras
import numpy as np
import pytest
import scipy.optimize
from keras import ops

from tfstyle.optimize import lbfgs


def valley(count=60):
    """Return a convex function of `count` numbers and its gradient, in NumPy."""
    random = np.random.default_rng(0)
    matrix = random.normal(size=(count, count))
    matrix = matrix @ matrix.T / count + np.diag(np.linspace(0.05, 3, count))
    target = random.normal(size=count)
    return lambda x: (0.5 * x @ matrix @ x - target @ x, matrix @ x - target)


def watched(function, seen):
    """Let `minimize` call a function of NumPy; `seen` gets what it was asked for."""

    def evaluate(x):
        x = ops.convert_to_numpy(x).astype(np.float64)
        seen.append(x)
        loss, gradient = function(x)
        return float(loss), ops.convert_to_tensor(gradient, "float32")

    return evaluate


@pytest.mark.parametrize("bounds", [None, (0.0, 0.5)])
@pytest.mark.parametrize(("corrections", "sparing"), [(1, False), (10, False), (10, True)])
def test_minimize_finds_what_scipy_finds(bounds, corrections, sparing):
    function, seen = valley(), []
    x = lbfgs.minimize(watched(function, seen), ops.zeros(60), bounds, corrections, sparing)
    theirs = scipy.optimize.minimize(
        function,
        np.zeros(60),
        jac=True,
        method="L-BFGS-B",
        bounds=bounds and [bounds] * 60,
        options={"maxcor": corrections, "ftol": 0, "gtol": 1e-9, "maxiter": 1000},
    )
    np.testing.assert_allclose(x, theirs.x, atol=1e-3)
    assert len(seen) < 1.5 * theirs.nfev + 15  # and in about as many evaluations
    if bounds:
        assert np.min(seen) >= bounds[0]
        assert np.max(seen) <= bounds[1]
        assert {*bounds} <= {*np.asarray(x).tolist()}  # which matter here


def test_minimize_follows_a_curved_valley():
    x = lbfgs.minimize(
        watched(lambda x: (scipy.optimize.rosen(x), scipy.optimize.rosen_der(x)), []),
        ops.convert_to_tensor([-1.2, 1.0, -1.2, 1.0]),
    )
    np.testing.assert_allclose(x, np.ones(4), atol=1e-2)


def test_minimize_takes_a_step_into_nothing_back():
    def cliff(x):
        return (np.inf if x[0] > 1 else (x[0] - 0.9) ** 2), np.array([2 * (x[0] - 0.9)])

    x = lbfgs.minimize(watched(cliff, []), ops.convert_to_tensor([-50.0]))
    np.testing.assert_allclose(x, [0.9], atol=1e-3)


@pytest.mark.parametrize("scale", [1e-6, 1, 1e9])
def test_minimize_first_goes_as_far_whatever_the_loss_is_measured_in(scale):
    seen = []
    lbfgs.minimize(
        watched(lambda x: (scale * np.sum((x - 3) ** 2), 2 * scale * (x - 3)), seen),
        ops.convert_to_tensor(np.linspace(0, 2, 50), "float32"),
    )
    np.testing.assert_allclose(np.abs(seen[1] - seen[0]).mean(), lbfgs.FIRST, rtol=1e-3)


def test_minimize_starts_within_the_bounds():
    seen = []
    x = lbfgs.minimize(
        watched(lambda x: (np.sum((x - 0.3) ** 2), 2 * (x - 0.3)), seen),
        ops.convert_to_tensor([-3.0, 4.0]),
        (0.0, 1.0),
    )
    assert np.array_equal(seen[0], [0, 1])
    np.testing.assert_allclose(x, [0.3, 0.3], atol=1e-4)


def test_minimize_stays_where_nothing_is_lower():
    seen = []
    x = lbfgs.minimize(watched(lambda x: (1.0, np.ones(3)), seen), ops.zeros((3,)), (0.0, 1.0))
    assert np.array_equal(x, np.zeros(3))
    assert len(seen) == 1


def test_minimize_ends_with_what_evaluate_raises():
    class Enough(Exception):
        pass

    def evaluate(x):
        raise Enough

    with pytest.raises(Enough):
        lbfgs.minimize(evaluate, keras.ops.zeros(3))
