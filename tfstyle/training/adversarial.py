"""Two networks, each the other's teacher."""

import keras
from keras import ops

from tfstyle.losses import discriminator_loss, generator_loss, value_and_gradient


class Adversarial(keras.Model):
    """Teach a sampler and a discriminator, each by the other.

    `compile` it with an optimizer for each and `fit` it on pictures
    `(count, height, width, channels)`, uint8 or float in [0, 1]. Each step teaches the
    discriminator to tell them from the sampler's, then the sampler to make such as it takes for
    real. Metrics, of an epoch so far, are `D(x)` and `D(G(z))`, how real the discriminator took
    pictures and samples for before it learned from them, `discriminator_loss` and
    `generator_loss`.

    Args:
        sampler: `tfstyle.networks.Sampler`, or another model with its `latent` size.
        discriminator: Keras model from pictures in [0, 1] to logits.
        seed: Seed of the points that are drawn in each step.

    Source: Goodfellow et al. (2014), https://arxiv.org/abs/1406.2661, algorithm 1, with the
    sampler's loss of section 3.

    Example:

    ```python
    model = Adversarial(Sampler(), discriminator())
    model.compile(keras.optimizers.Adam(2e-4), keras.optimizers.Adam(2e-4))
    model.fit(pictures, batch_size=32, epochs=100)
    ```
    """

    METRICS = ("D(x)", "D(G(z))", "discriminator_loss", "generator_loss")

    def __init__(self, sampler, discriminator, seed=0, **kwargs):
        super().__init__(**kwargs)
        self.sampler, self.discriminator = sampler, discriminator
        self.points = keras.random.SeedGenerator(seed)
        self._means = [keras.metrics.Mean(name=f"mean_{i}") for i in range(len(self.METRICS))]
        self.built = True

    def compile(self, optimizer, discriminator_optimizer, **kwargs):
        """As Keras', with the sampler's optimizer and the discriminator's."""
        kwargs.setdefault("jit_compile", keras.backend.backend() == "jax")
        super().compile(optimizer, **kwargs)
        optimizer.build(self.sampler.trainable_variables)
        discriminator_optimizer.build(self.discriminator.trainable_variables)
        self.discriminator_optimizer = discriminator_optimizer
        self.discriminator_state = discriminator_optimizer.variables  # JAX carries what is known

    @property
    def state(self):
        """All variables that a checkpoint keeps."""
        return [
            *self.sampler.variables,
            *self.discriminator.variables,
            *self.optimizer.variables,
            *self.discriminator_optimizer.variables,
            self.points.state,
        ]

    def call(self, pictures):
        return self.discriminator(pictures)

    def train_step(self, *args):
        pictures, _, _ = keras.utils.unpack_x_y_sample_weight(args[-1])
        if keras.backend.backend() != "jax":
            return self._learn(pictures)
        groups = (
            self.trainable_variables,
            self.non_trainable_variables,
            self.optimizer.variables,
            self.metrics_variables,
        )
        known = [
            pair
            for group, values in zip(groups, args[0], strict=True)
            for pair in zip(group, values, strict=True)
        ]
        with keras.StatelessScope(state_mapping=known) as scope:
            told = self._learn(pictures)
        return told, tuple([scope.get_current_value(v) for v in group] for group in groups)

    def _learn(self, pictures):
        """Take a step; return the metrics."""
        levels = 255 if keras.backend.standardize_dtype(pictures.dtype) == "uint8" else 1
        real = ops.cast(pictures, "float32") / levels
        where = keras.random.normal((ops.shape(real)[0], self.sampler.latent), seed=self.points)
        fake = self.sampler(where)  # apart from what is differentiated: no gradient reaches it
        judge, sampler = self.discriminator, self.sampler

        def judged():
            on_real, on_fake = judge(real), judge(fake)
            return discriminator_loss(on_real, on_fake), on_real, on_fake

        (lost, *logits), gradient = value_and_gradient(judged, judge.trainable_variables)
        self.discriminator_optimizer.apply(gradient, judge.trainable_variables)

        def fooled():
            return (generator_loss(judge(sampler(where))),)

        (other,), gradient = value_and_gradient(
            fooled, sampler.trainable_variables, judge.variables
        )
        self.optimizer.apply(gradient, sampler.trainable_variables)
        values = [*(ops.mean(ops.sigmoid(x)) for x in logits), lost, other]
        for mean, value in zip(self._means, values, strict=True):
            mean.update_state(value)
        return {name: m.result() for name, m in zip(self.METRICS, self._means, strict=True)}
