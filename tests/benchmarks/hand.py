"""How near networks come to a painter's works that none of them has seen.

    python tests/benchmarks/hand.py mine.keras other.keras --content PHOTOS --held PAINTINGS

For the photographs as they are, and painted by each network: the content loss; the style loss to
the held-out paintings, their mean and the least; and the style loss of the mean Gram matrices of
all pictures to those of all paintings. Losses are those of the training preset `lean`.
TFSTYLE_VGG19_WEIGHTS names the loss network's weights.
"""

import argparse
from pathlib import Path

import numpy as np

from tfstyle.config import training_with
from tfstyle.losses import content_loss, gram_matrix
from tfstyle.networks import FeatureExtractor, load_network
from tfstyle.painting.sizes import load_painter
from tfstyle.pictures import find_photos, read_image, resize

CONFIG = training_with("lean")
(CONTENT_LAYER,) = CONFIG.content_layers


def look(extractor, picture):
    """Return Gram matrices by layer, and the features of the content layer."""
    features = extractor(picture[None])
    grams = {layer: np.asarray(gram_matrix(features[layer])) for layer in CONFIG.style_layers}
    return grams, features[CONTENT_LAYER]


def distance(grams, targets):
    return np.mean([((grams[x] - targets[x]) ** 2).sum() / (targets[x] ** 2).sum() for x in grams])


def mean(all_grams):
    return {layer: np.mean([grams[layer] for grams in all_grams], 0) for layer in all_grams[0]}


def pictures(folder, size, count=None):
    names = find_photos(folder).photos[:count]
    return [resize(read_image(folder / name).rgb, size) for name in names]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("networks", type=Path, nargs="+")
    parser.add_argument("--content", type=Path, required=True, help="folder of photographs")
    parser.add_argument("--held", type=Path, required=True, help="folder of paintings")
    parser.add_argument("--count", type=int, default=12, help="of photographs")
    parser.add_argument("--size", type=int, default=224, help="long side of photographs, px")
    parser.add_argument("--style-size", type=int, default=256, help="long side of paintings, px")
    options = parser.parse_args()

    extractor = FeatureExtractor(load_network(CONFIG.network), CONFIG.layers)
    held = [look(extractor, x)[0] for x in pictures(options.held, options.style_size)]
    photos = pictures(options.content, options.size, options.count)
    kept = [look(extractor, photo)[1] for photo in photos]
    for path in (None, *options.networks):
        network = path and load_painter(path)
        painted = [np.asarray(network(x[None]))[0] if network else x for x in photos]
        grams, features = zip(*(look(extractor, picture) for picture in painted), strict=True)
        content = [
            float(content_loss(*pair, CONFIG.content_norm))
            for pair in zip(features, kept, strict=True)
        ]
        styles = np.array([[distance(each, target) for target in held] for each in grams])
        print(
            f"{path.name if path else 'photographs':<20} content {np.mean(content):.3f}  style "
            f"{styles.mean():.3f}  nearest {styles.min(1).mean():.3f}  "
            f"of the means {distance(mean(grams), mean(held)):.3f}",
            flush=True,
        )
