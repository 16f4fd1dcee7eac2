"""StyleContentModel: a stylizer paints, a loss network looks, the model teaches."""

import keras
from keras import ops

from tfstyle.losses import Seen


class StyleContentModel(keras.Model):
    """Teach a stylizer what terms ask for: as a rule, to keep the content of pictures and take on
    a style.

    `compile` it with a Keras optimizer and `fit` it on content pictures: a dataset of one picture
    optimizes a `Canvas`, a dataset of photographs trains a network. Metrics are each term's loss
    before its weight, by the term's name, and their weighted sum, `loss`: of the latest step in
    `fit`, the mean over all pictures in `evaluate`. Those given to `compile` compare stylized
    pictures with their photographs.

    `save` the stylizer, `model.stylizer.save("mine.keras")`: the model itself is a teacher. To go
    on later, `save_weights` and `keras.callbacks.ModelCheckpoint(path, save_weights_only=True)`
    keep its weights and the optimizer's state.

    A dataset for a network of several styles gives tuples of pictures and the style weights
    `(batch, num_styles)` to paint them with.

    Args:
        stylizer: Keras layer or model from content pictures to stylized ones, both
            `(batch, height, width, 3)` in [0, 1].
        extractor: `FeatureExtractor` with the terms' layers.
        terms: List of `tfstyle.losses.Term`: what `terms_of` a recipe returns, and others.
        layer_metrics: Whether what terms report of single layers is a metric as well,
            `style_loss/LAYER`.

    Raises:
        ValueError: If two terms have the same name, one is called `loss`, or the extractor lacks a
            term's layer.

    Example:

    ```python
    model = StyleContentModel(Canvas(288, 512), extractor, terms_of(recipe))
    model.set_style([painting])
    model.compile(keras.optimizers.Adam(0.02))
    model.fit(photographs, steps_per_epoch=500)
    ```
    """

    def __init__(self, stylizer, extractor, terms, layer_metrics=False, **kwargs):
        super().__init__(autocast=False, **kwargs)  # pictures stay float32 under every policy
        self.stylizer, self.extractor, self.terms = stylizer, extractor, tuple(terms)
        names = ["loss", *(term.name for term in self.terms)]
        if len(set(names)) < len(names):
            raise ValueError(
                "Terms must have different names, none of them 'loss', which is their sum. "
                f"Received: {', '.join(names[1:])}."
            )
        if missing := set(self._layers_of()).difference(extractor.layers):
            raise ValueError(
                f"The extractor must return the terms' layers. Received: layers="
                f"{extractor.layers}, without {', '.join(sorted(missing))}."
            )
        if layer_metrics:
            names += [name for term in self.terms for name in term.names if name not in names]
        self.style_targets = None
        self.content_targets = self.photographs = None
        self._means = {name: keras.metrics.Mean(name, dtype="float32") for name in names}
        self.built = True

    def set_style(self, images, weights=None):
        """Look at the paintings, once.

        Args:
            images: Paintings, float tensors `(1, height, width, 3)` in [0, 1], each of any size.
            weights: A weight for each; they are scaled to sum to 1. Default: equal ones.

        Each term blends its summaries of them: as a rule, to their weighted mean.
        """
        weights = weights or [1.0] * len(images)
        weights = [weight / sum(weights) for weight in weights]
        summaries = [self.summaries(image) for image in images]
        self.style_targets = {
            term.name: term.blend([each[term.name] for each in summaries], weights)
            for term in self.terms
            if term.against == "style"
        }

    def set_styles(self, images):
        """Look at the paintings of a network of several styles, once, each a style of its own.

        Args:
            images: As for `set_style`, in the order of the style weights.
        """
        self.style_targets = keras.tree.map_structure(
            lambda *each: ops.concatenate(each), *(self.summaries(image) for image in images)
        )

    def set_content(self, image):
        """Look at a content picture, once, in place of looking at every batch anew."""
        self.photographs = image
        self.content_targets = self.extractor(image, layers=self._layers_of("content"))

    def summaries(self, images):
        """Return what each style term remembers of paintings, by its name.

        Args:
            images: Float tensor `(count, height, width, 3)` in [0, 1].
        """
        features = self.extractor(images, layers=self._layers_of("style"))
        return {term.name: term.summary(features) for term in self.terms if term.against == "style"}

    def call(self, content, training=None):
        images, style_weights = _unpack(content)
        return self._paint(images, style_weights, training)

    def _paint(self, images, style_weights=None, training=None):
        if style_weights is None:
            return self.stylizer(images, training=training)
        return self.stylizer(images, style_weights, training=training)

    def losses_of(self, stylized, content):
        """Return `{name: float32 scalar}` for stylized pictures and their content.

        Names are those of the metrics, of single layers as well.

        Raises:
            ValueError: If there is no style yet.
        """
        images, style_weights = _unpack(content)
        styles = self.style_targets
        if styles is None and any(term.against == "style" for term in self.terms):
            raise ValueError("The model has no style to teach. Call `set_style` first.")
        if styles is not None and style_weights is not None:
            styles = keras.tree.map_structure(
                lambda each: ops.einsum("bn,n...->b...", style_weights, each), styles
            )
        return self._compare(stylized, images, styles, style_weights)

    def _compare(self, stylized, images, styles, style_weights=None, **others):
        """Return the losses by name of pictures painted from `images` by `style_weights`, held
        against `styles`; what terms see besides are `others`."""
        features = self.extractor(stylized, layers=self._layers_of())
        if self.content_targets is None:
            # Apart from the stylized pictures: not as deep, and no gradient.
            layers = self._layers_of("content")
            targets = self.extractor(images, layers=layers) if layers else {}
        else:
            images, targets = self.photographs, self.content_targets
        seen = Seen(
            pictures=stylized,
            photographs=images,
            features=features,
            paint=lambda photographs: self._paint(photographs, style_weights),
            **others,
        )
        return self._sum(seen, targets, styles)

    def _sum(self, seen, content_targets, style_targets):
        """Return the losses by name for what is seen and compared with."""
        losses = {}
        for term in self.terms:
            style = (style_targets or {}).get(term.name)
            target = {None: None, "content": content_targets, "style": style}[term.against]
            losses |= term.losses(seen, target)
        # After all of them: TensorFlow rounds otherwise where sums begin in between.
        losses["loss"] = sum(term.weight * losses[term.name] for term in self.terms)
        return losses

    def _layers_of(self, against=None):
        """Return the layers of all terms, or of those held against content or style."""
        terms = [term for term in self.terms if against in (None, term.against)]
        return tuple(dict.fromkeys(layer for term in terms for layer in term.layers))

    @property
    def state(self):
        """All variables that training changes: what a checkpoint keeps."""
        return [*self.stylizer.variables, *self.optimizer.variables]

    def _maybe_symbolic_build(self, *args, **kwargs):
        """Build nothing, where Keras would look at a batch first, and fail if it comes in parts on
        the workers of a cluster: all is built."""

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        losses, count = self.losses_of(y_pred, x), ops.shape(self._photographs_of(x))[0]
        self._report(losses, None if training else count)
        return losses["loss"]

    def _report(self, losses, count=None):
        """Let metrics tell losses: those of a step, or means over batches of `count`."""
        for name, metric in self._means.items():
            if count is None:
                metric.reset_state()
            metric.update_state(losses[name], count)

    @property
    def metrics(self):
        # Keras has a mean of its own by the name of ours.
        own = getattr(self, "_means", {}).get("loss")
        return [metric for metric in super().metrics if metric.name != "loss" or metric is own]

    def compile(self, *args, loss=None, **kwargs):
        if loss is not None or len(args) > 1:
            raise ValueError(
                "The losses of a StyleContentModel are its terms. Leave `loss` out, and give a "
                "`tfstyle.losses.Term` for what else is asked for."
            )
        super().compile(*args, **kwargs)
        # A graph that makes variables of its own is traced twice.
        self.optimizer.build(self.trainable_variables)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        return super().compute_metrics(x, self._photographs_of(x), y_pred)

    def _photographs_of(self, content):
        return self.photographs if content is None else _unpack(content)[0]

    def train_step(self, *args):
        if keras.backend.backend() != "tensorflow":
            return super().train_step(*args)  # stateless there, through `compute_loss` as well
        import tensorflow as tf

        content, _, _ = keras.utils.unpack_x_y_sample_weight(args[0])
        replicas = self.distribute_strategy.num_replicas_in_sync
        with tf.GradientTape() as tape:
            stylized = self(content, training=True)
            loss = self.compute_loss(content, y_pred=stylized)
            # Devices add their gradients up.
            loss = self.optimizer.scale_loss(loss / replicas)
        variables = self.trainable_variables
        gradient = tape.gradient(loss, variables)
        if replicas > 1:
            # Keras clips and looks for overflow before it adds up: let all devices have the same.
            mean = tf.distribute.ReduceOp.MEAN
            gradient = tf.distribute.get_replica_context().all_reduce(mean, gradient)
        self._apply(self.optimizer, gradient, variables)
        metrics = self.compute_metrics(content, None, stylized)
        if isinstance(self.distribute_strategy, tf.distribute.MultiWorkerMirroredStrategy):
            # Keras takes the mean over workers along an axis, which scalars lack.
            metrics = {name: value[None] for name, value in metrics.items()}
        return metrics

    def _apply(self, optimizer, gradient, variables):
        """Let an optimizer take a step, in TensorFlow."""
        import tensorflow as tf

        pairs = list(zip(gradient, variables, strict=True))
        if tf.distribute.has_strategy():
            optimizer.apply_gradients(pairs)
            return
        # Between replicas, where Keras does not sum over the one that there is: TensorFlow
        # would keep that sum, and with it this graph, as long as the process lives.
        scaled = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)

        def apply(strategy):
            if scaled:  # whose `apply` refuses to be called there, for strategies' sake
                optimizer._common_apply(gradient, variables)
            else:
                optimizer.apply_gradients(pairs)

        tf.distribute.get_replica_context().merge_call(apply)

    def test_step(self, *args):
        if keras.backend.backend() != "tensorflow":
            return super().test_step(*args)
        content, _, _ = keras.utils.unpack_x_y_sample_weight(args[0])
        stylized = self(content)
        self.compute_loss(content, y_pred=stylized, training=False)
        return self.compute_metrics(content, None, stylized)

    def save(self, *args, **kwargs):
        """Refuse to save a teacher with its loss network.

        Raises:
            NotImplementedError: Always; it tells what to save.
        """
        raise NotImplementedError(
            "A StyleContentModel is not saved as a whole: the loss network is not yours to keep. "
            "Save what it taught, `model.stylizer.save(path)`; or weights alone to go on from, "
            "`model.save_weights(path)` or ModelCheckpoint(path, save_weights_only=True)."
        )

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
