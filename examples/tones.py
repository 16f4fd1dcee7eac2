"""Train a network with a loss of one's own: the shares of dark and light that the painting has.

    python examples/tones.py vallotton.jpg photos/ woodcut.keras

Gram matrices alone paint woodcuts in grey. Here the sorted values of each picture's pixels are held
against those of the painting, so that as much becomes black, and as much white.
"""

import argparse

from keras import ops

import tfstyle
from tfstyle.losses import Term, quantiles, sorted_loss
from tfstyle.pictures import read_image


class Tones(Term):
    """Have a painting's colors in its shares, each channel alone.

    Args:
        painting: Float array `(height, width, 3)` in [0, 1].
    """

    def __init__(self, name, weight, painting):
        super().__init__(name, weight)
        self.target = ops.convert_to_numpy(quantiles(painting[None]))

    def __call__(self, seen, target):
        return sorted_loss(quantiles(seen.pictures), self.target)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("painting")
    parser.add_argument("photos")
    parser.add_argument("output")
    parser.add_argument("--init", default="any")
    parser.add_argument("--weight", type=float, default=1.0, help="of the tones")
    parser.add_argument("--style-weight", type=float, default=2.2)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--learning-rate", type=float, default=1.2e-3)
    parser.add_argument("--sizes", type=int, nargs="+", default=[160])
    settings = vars(parser.parse_args())
    painting, photos, output = (settings.pop(name) for name in ("painting", "photos", "output"))
    tones = Tones("tones", settings.pop("weight"), read_image(painting).rgb)
    tfstyle.train(painting, photos, output, terms=[tones], **settings)


if __name__ == "__main__":
    main()
