"""StyleContentModel: a stylizer paints, a loss network looks, the model teaches."""

import keras
from keras import ops

from tfstyle.losses.equations import content_loss, grid_variation, style_loss, total_variation

LOSSES = ("loss", "content_loss", "style_loss", "total_variation")


class StyleContentModel(keras.Model):
    """Teach a stylizer to keep the content of pictures and take on a style.

    `compile` it with a Keras optimizer and `fit` it on content pictures: a dataset of one picture
    optimizes a `Canvas`, a dataset of photographs trains a network. Metrics are `content_loss`,
    `style_loss`, `total_variation` (each before its weight) and `loss`, of the latest step.

    A dataset for a network of several styles gives tuples of pictures and the style weights
    `(batch, num_styles)` to paint them with.

    Args:
        stylizer: Keras layer or model from content pictures to stylized ones, both
            `(batch, height, width, 3)` in [0, 1].
        extractor: `FeatureExtractor` with the recipe's layers.
        recipe: `Recipe` or `TrainConfig`; its losses and their weights are used here.
        layer_metrics: Whether the style loss of each layer is a metric as well, `style_loss/LAYER`.

    Example:

    ```python
    model = StyleContentModel(Canvas(288, 512), extractor, recipe)
    model.set_style([painting])
    model.compile(keras.optimizers.Adam(0.02))
    model.fit(photographs, steps_per_epoch=500)
    ```
    """

    def __init__(self, stylizer, extractor, recipe, layer_metrics=False, **kwargs):
        super().__init__(autocast=False, **kwargs)  # pictures stay float32 under every policy
        self.stylizer, self.extractor, self.recipe = stylizer, extractor, recipe
        self.style_targets = None
        self.content_targets = None
        names = [f"style_loss/{layer}" for layer in extractor.style_layers if layer_metrics]
        self._latest = {name: keras.metrics.Mean(name) for name in (*LOSSES, *names)}
        self.built = True

    def set_style(self, images, weights=None):
        """Look at the paintings, once.

        Args:
            images: Paintings, float tensors `(1, height, width, 3)` in [0, 1], each of any size.
            weights: A weight for each; they are scaled to sum to 1. Default: equal ones.

        The target is the weighted mean of their Gram matrices, which has the same gradient as
        the weighted mean of their losses.
        """
        weights = weights or [1.0] * len(images)
        grams = [self.extractor(image, content=False)["style"] for image in images]
        self.style_targets = {
            layer: sum(w / sum(weights) * g[layer] for w, g in zip(weights, grams, strict=True))
            for layer in self.extractor.style_layers
        }

    def set_styles(self, images):
        """Look at the paintings of a network of several styles, once, each a style of its own.

        Args:
            images: As for `set_style`, in the order of the style weights.
        """
        grams = [self.extractor(image, content=False)["style"] for image in images]
        self.style_targets = {
            layer: ops.concatenate([gram[layer] for gram in grams])
            for layer in self.extractor.style_layers
        }

    def set_content(self, image):
        """Look at a content picture, once, in place of looking at every batch anew."""
        self.content_targets = self.extractor(image, style=False)["content"]

    def call(self, content, training=None):
        images, style_weights = _unpack(content)
        if style_weights is None:
            return self.stylizer(images, training=training)
        return self.stylizer(images, style_weights, training=training)

    def losses_of(self, stylized, content):
        """Return `{name: float32 scalar}` for stylized pictures and their content.

        Names are `LOSSES` and, for each style layer, `style_loss/LAYER`.

        Raises:
            ValueError: If there is no style yet.
        """
        if self.style_targets is None:
            raise ValueError("The model has no style to teach. Call `set_style` first.")
        recipe, targets, styles = self.recipe, self.content_targets, self.style_targets
        images, style_weights = _unpack(content)
        seen = self.extractor(stylized)
        if targets is None:  # apart from the stylized pictures: not as deep, and no gradient
            targets = self.extractor(images, style=False)["content"]
        if style_weights is not None:
            styles = {
                layer: ops.einsum("bn,ncd->bcd", style_weights, gram)
                for layer, gram in styles.items()
            }
        height, width = ops.shape(stylized)[1:3]
        losses = {
            f"style_loss/{layer}": style_loss(
                seen["style"][layer],
                styles[layer],
                recipe.style_norm,
                positions=self.extractor.positions(layer, stylized),
                pixels=height * width,
            )
            for layer in self.extractor.style_layers
        }
        losses["content_loss"] = sum(
            weight * content_loss(seen["content"][layer], targets[layer], recipe.content_norm)
            for layer, weight in recipe.layer_weights("content").items()
        )
        losses["style_loss"] = sum(
            weight * losses[f"style_loss/{layer}"]
            for layer, weight in recipe.layer_weights("style").items()
        )
        losses["total_variation"] = total_variation(stylized, recipe.tv_norm)
        losses["loss"] = (
            recipe.content_weight * losses["content_loss"]
            + recipe.style_weight * losses["style_loss"]
            + recipe.tv_weight * losses["total_variation"]
        )
        if recipe.grid_weight:
            losses["loss"] += recipe.grid_weight * grid_variation(stylized)
        return losses

    def _maybe_symbolic_build(self, *args, **kwargs):
        """Build nothing, where Keras would look at a batch first, and fail if it comes in parts on
        the workers of a cluster: all is built."""

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        losses = self.losses_of(y_pred, x)
        for name, metric in self._latest.items():
            metric.reset_state()
            metric.update_state(losses[name])
        return losses["loss"]

    def train_step(self, *args):
        if keras.backend.backend() != "tensorflow":
            return super().train_step(*args)  # stateless there, through `compute_loss` as well
        import tensorflow as tf

        content, _, _ = keras.utils.unpack_x_y_sample_weight(args[0])
        replicas = self.distribute_strategy.num_replicas_in_sync
        with tf.GradientTape() as tape:
            loss = self.compute_loss(content, y_pred=self(content, training=True))
            # Devices add their gradients up.
            loss = self.optimizer.scale_loss(loss / replicas)
        variables = self.trainable_variables
        gradient = tape.gradient(loss, variables)
        if replicas > 1:
            # Keras clips and looks for overflow before it adds up: let all devices have the same.
            mean = tf.distribute.ReduceOp.MEAN
            gradient = tf.distribute.get_replica_context().all_reduce(mean, gradient)
        pairs = list(zip(gradient, variables, strict=True))
        scaled = isinstance(self.optimizer, keras.optimizers.LossScaleOptimizer)
        if scaled or tf.distribute.has_strategy():
            self.optimizer.apply_gradients(pairs)
        else:
            # Between replicas, where Keras does not sum over the one that there is: TensorFlow
            # would keep that sum, and with it this graph, as long as the process lives. Loss
            # scaling cannot be applied there.
            context = tf.distribute.get_replica_context()
            context.merge_call(lambda strategy: self.optimizer.apply_gradients(pairs))
        metrics = self.get_metrics_result()
        if isinstance(self.distribute_strategy, tf.distribute.MultiWorkerMirroredStrategy):
            # Keras takes the mean over workers along an axis, which scalars lack.
            metrics = {name: value[None] for name, value in metrics.items()}
        return metrics

    def test_step(self, *args):
        if keras.backend.backend() != "tensorflow":
            return super().test_step(*args)
        content, _, _ = keras.utils.unpack_x_y_sample_weight(args[0])
        self.compute_loss(content, y_pred=self(content))
        return self.get_metrics_result()

    def loss_and_gradient(self):
        """Return a compiled function from content pictures to losses and gradient.

        For optimizers that Keras does not have: the function returns `losses_of` and the
        gradient of its `"loss"` to the stylizer's first trainable weight.
        """
        variable = self.stylizer.trainable_variables[0]
        if keras.backend.backend() == "jax":
            return self._loss_and_gradient_in_jax(variable)
        import tensorflow as tf

        @tf.function(autograph=False)
        def evaluate(content):
            with tf.GradientTape() as tape:
                losses = self.losses_of(self.stylizer(content), content)
            return losses, tape.gradient(losses["loss"], variable)

        return evaluate

    def _loss_and_gradient_in_jax(self, variable):
        import jax

        def loss_at(value, content):
            with keras.StatelessScope(state_mapping=[(variable, value)]):
                losses = self.losses_of(self.stylizer(content), content)
            return losses["loss"], losses

        differentiate = jax.jit(jax.value_and_grad(loss_at, has_aux=True))

        def evaluate(content):
            (_, losses), gradient = differentiate(variable.value, content)
            return losses, gradient

        return evaluate


def _unpack(content):
    """Return pictures and their style weights, or None where there are none."""
    return content if isinstance(content, (tuple, list)) else (content, None)
