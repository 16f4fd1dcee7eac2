"""Teaching a network of any style, and how it does with paintings that it never saw."""

import keras
import numpy as np
from keras import ops

from tfstyle.losses import Codes, Seen
from tfstyle.model import StyleContentModel
from tfstyle.pictures import resize
from tfstyle.training.watching import Sheet, examples


class AnyStyleModel(StyleContentModel):
    """Teach a network of any style what terms ask for; `StyleContentModel` tells arguments.

    `fit` it on tuples of photographs and paintings, float tensors `(n, height, width, 3)` and
    `(m, height, width, 3)` in [0, 1]: each photograph is painted in the style of each painting.
    """

    def call(self, content, training=None):
        """Paint; return `Codes` as a dictionary, with the stylized `pictures`, painting by
        painting, as well."""
        photographs, paintings = content
        codes, own = self.stylizer.encode(paintings), self.stylizer.encode(photographs)
        # The last one is the first photograph, by its own code.
        images = ops.concatenate([_of_each(photographs, codes), photographs[:1]])
        points = ops.concatenate([_for_each(codes, photographs), own[:1]])
        pictures = self.stylizer(images, points, training=training)
        return {
            "pictures": pictures[:-1],
            "paintings": codes,
            "photographs": own,
            "painted": self.stylizer.encode(ops.clip(pictures[:-1], 0, 1)),
            "same": pictures[-1:],
        }

    def losses_of(self, stylized, content):
        """Return `{name: float32 scalar}` for what `call` returned of photographs and paintings."""
        photographs, paintings = content
        codes = Codes(**{name: x for name, x in stylized.items() if name != "pictures"})
        pictures = stylized["pictures"]
        seen = Seen(
            pictures=pictures,
            photographs=photographs,
            features=self.extractor(pictures, layers=self._layers_of()),
            paint=lambda others: self.stylizer(
                _of_each(others, paintings), _for_each(codes.paintings, others)
            ),
            codes=codes,
        )
        kept = self.extractor(photographs, layers=self._layers_of("content"))
        kept = {layer: _of_each(features, paintings) for layer, features in kept.items()}
        styles = keras.tree.map_structure(
            lambda each: _for_each(each, photographs), self.summaries(paintings)
        )
        return self._sum(seen, kept, styles)


def _of_each(x, paintings):
    """Repeat a batch of photographs, or of their features, for each painting."""
    return ops.tile(x, (ops.shape(paintings)[0], *[1] * (len(x.shape) - 1)))


def _for_each(x, photographs):
    """Repeat what there is of each painting for all photographs."""
    return ops.repeat(x, ops.shape(photographs)[0], axis=0)


class AnySheet(Sheet):
    """Photographs painted in the styles of paintings, of which the lower half was never trained
    on; and the losses of both halves, as `run.validation`, `{"seen": {name: loss}, "unseen": …}`.

    Args:
        run: `Run`.
        photos: As for `Sheet`.
        gallery: `Gallery`.
        paintings: How many of each kind.
        stream: Where losses are printed to.

    Raises:
        ValueError: If no photograph or no painting can be used.
    """

    def __init__(self, run, photos, gallery, paintings=4, stream=None):
        super().__init__(run, photos, stream=stream)
        self.paintings = {
            kind: examples(reads[:: max(1, len(reads) // (2 * paintings))], paintings, self.size)
            for kind, reads in (("seen", gallery.reads), ("unseen", gallery.unseen))
        }
        if not self.paintings["seen"]:
            raise ValueError(f"No painting of '{gallery.source}' can be used.")
        height, width = np.min([photo.shape[:2] for photo in self.pictures], 0)
        self._batch = np.stack([photo[:height, :width] for photo in self.pictures])

    def rows(self):
        generator = self.model.stylizer
        rows = [[np.ones_like(self.pictures[0]), *self.pictures]]
        for painting in (each for kind in self.paintings.values() for each in kind):
            code = generator.encode(painting[None])
            painted = [np.asarray(generator(photo[None], code))[0] for photo in self.pictures]
            rows.append([resize(painting, self.pictures[0].shape[:2]), *painted])
        return rows

    def paint(self):
        for kind, paintings in self.paintings.items():
            losses = []
            for painting in paintings:
                batch = self._batch, painting[None]
                losses.append(self.model.losses_of(self.model(batch), batch))
            if losses:
                mean = keras.tree.map_structure(lambda *each: float(np.mean(each)), *losses)
                self.run.validation[kind] = mean
                self.stream.write(
                    f"{kind} paintings: content {mean['content_loss']:.3g}, "
                    f"style {mean['style_loss']:.3g}\n"
                )
        return super().paint()
