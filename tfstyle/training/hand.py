"""Teaching a network a painter's hand: by a critic, and by paintings drawn anew each step."""

from typing import Any

import keras
from keras import ops

from tfstyle.losses import AdversaryTerm, hinge_loss, two_ways, value_and_gradient
from tfstyle.model import StyleContentModel


class HandModel(StyleContentModel):
    """Teach a network what terms ask for, of which one may be a critic that learns along.

    `fit` it on tuples of photographs and pieces of paintings, float tensors
    `(batch, height, width, 3)` in [0, 1], of any two sizes. Without `set_style`, style terms hold
    each photograph's painting against the piece beside it.

    A critic counts as far as it can tell: with all of its weight where its scores of paintings and
    pictures lie 2 apart, as its loss asks for, and not at all where they are the same. So a critic
    that knows nothing yet, or that the network has just overtaken, leads nobody astray.

    Args:
        stylizer: As for `StyleContentModel`.
        extractor: As there.
        terms: As there, perhaps with one `AdversaryTerm`, whose critic is then
            taught after each step.
        critic_optimizer: Keras optimizer of the critic.

    Example:

    ```python
    terms = [*terms_of(config), AdversaryTerm("adversary", 0.3, PatchCritic())]
    model = HandModel(LeanNet(), extractor, terms, keras.optimizers.Adam(1e-4))
    model.compile(keras.optimizers.Adam(1e-3))
    model.fit(photographs_and_pieces, steps_per_epoch=500)
    ```
    """

    def __init__(self, stylizer, extractor, terms, critic_optimizer=None, **kwargs):
        super().__init__(stylizer, extractor, terms, **kwargs)
        found = [term for term in self.terms if isinstance(term, AdversaryTerm)]
        if len(found) > 1 or bool(found) != (critic_optimizer is not None):
            raise ValueError(
                "There must be at most one critic, with an optimizer of its own. "
                f"Received: {len(found)} critics, critic_optimizer={critic_optimizer}."
            )
        self.critic: Any = found[0].critic if found else None
        self.critic_optimizer: Any = critic_optimizer
        self.adversary_weight = found[0].weight if found else 0.0
        if self.critic:
            self._learning = self.critic.trainable_variables
            critic_optimizer.build(self._learning)
            self.critic.trainable = False  # by the optimizer of the stylizer, that is
            self.critic_state = critic_optimizer.variables  # JAX carries what is known

    @property
    def state(self):
        critic = [*self.critic.variables, *self.critic_state] if self.critic else []
        return [*super().state, *critic]

    def call(self, content, training=None):
        return super().call(content[0], training=training)

    def losses_of(self, stylized, content):
        photographs, paintings = content
        styles = self.style_targets
        if styles is None:
            styles = self.summaries(paintings)
        judged = None
        if self.critic:
            real, fake = (
                ops.mean(self.critic(ops.stop_gradient(x))) for x in (paintings, stylized)
            )
            sure = ops.clip((real - fake) / 2, 0, 1)
            stylized, judged = two_ways(stylized, self.adversary_weight * sure)
        return self._compare(stylized, photographs, styles, judged=judged, paintings=paintings)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        loss = super().compute_loss(x, y, y_pred, sample_weight, training)
        if training and self.critic:
            self._teach_critic(x[1], ops.stop_gradient(y_pred))
        return loss

    def _teach_critic(self, paintings, stylized):
        """Let the critic take a step."""
        critic = self.critic

        def judged():
            return (hinge_loss(critic(paintings), critic(stylized)),)

        _, gradient = value_and_gradient(judged, self._learning, critic.variables)
        if keras.backend.backend() == "tensorflow":
            self._apply(self.critic_optimizer, gradient, self._learning)
        else:
            self.critic_optimizer.apply(gradient, self._learning)
        critic.normalize()
