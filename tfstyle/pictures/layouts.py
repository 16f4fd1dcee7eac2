"""Layouts of TIFF and PNG that Pillow takes for something else: read right, or refused."""

import numpy as np
from PIL import Image

SUBFILE, BITS, COMPRESSION, PHOTOMETRIC, COLORMAP = 254, 258, 259, 262, 320
PLANAR, EXTRA, SAMPLE_FORMAT, SUBSAMPLING = 284, 338, 339, 530
WHITE_IS_ZERO, PALETTE, YCBCR, LAB = 0, 3, 6, 8
FLOAT = 3


class UnreadableError(ValueError):
    """A picture that is whole, but cannot be read right."""


def check_layout(image, name):
    """Look at the header of a picture's file before it is loaded.

    Args:
        image: `PIL.Image.Image`, opened.
        name: Its name in messages.

    Raises:
        UnreadableError: If Pillow would read it as something else.
    """
    why = None
    if hasattr(image, "tag_v2"):
        why = _why_not_tiff(image.tag_v2)
    elif image.format == "PNG" and "transparency" in image.info and image.tile:
        layout = image.tile[0].args
        if layout == "RGB;16B":
            why = "16-bit colors of which one is transparent"
        # The transparent level is of as many bits as the file's, but the others are made 8.
        image.info["transparency"] = _in_8_bits(image.info["transparency"], layout)
    if why:
        raise UnreadableError(
            f"A picture of this layout cannot be read right. Received: {name}, with {why}. Save it "
            "with 8 bits a color, or as PNG."
        )


def with_true_levels(image, opened):
    """Return a loaded picture of 16-bit grey with white where it should be.

    Args:
        image: `PIL.Image.Image`, upright.
        opened: The one that it was made of, with the file's header.
    """
    tags = getattr(opened, "tag_v2", None)
    if tags is None or image.mode != "I;16":
        return image
    levels = np.asarray(image)
    if tags[BITS][0] == 12:
        levels = np.round(levels * (65535 / 4095)).astype(np.uint16)
    if tags.get(PHOTOMETRIC, WHITE_IS_ZERO) == WHITE_IS_ZERO:
        levels = 65535 - levels
    result = Image.fromarray(levels)
    result.info = image.info
    return result


def with_alpha(image):
    """Return 16-bit grey that has a transparent level as 8-bit grey with alpha; else the image."""
    if image.mode != "I;16" or "transparency" not in image.info:
        return image
    levels = np.asarray(image)
    alpha = np.where(levels == image.info["transparency"], 0, 255)
    result = Image.fromarray(np.uint8(np.dstack([np.round(levels / 257), alpha])))
    result.info = {key: value for key, value in image.info.items() if key != "transparency"}
    return result


def _why_not_tiff(tags):
    """Say what of a TIFF Pillow would read wrong; None if nothing."""
    kinds, bits = tags.get(SAMPLE_FORMAT, (1,)), tags.get(BITS, (1,))
    photometric = tags.get(PHOTOMETRIC, WHITE_IS_ZERO)
    planar, raw = tags.get(PLANAR, 1) == 2 and len(bits) > 1, tags.get(COMPRESSION, 1) == 1
    if tags.get(SUBFILE, 0) & 1:
        return "a preview in the first place, as raw files of cameras have it"
    if FLOAT in kinds and photometric == WHITE_IS_ZERO:
        return "floats of which 0 is white"
    if 2 in kinds:
        return "levels that may be negative, so that nobody knows which is black"
    if max(bits) == 32 and FLOAT not in kinds:
        return "32-bit levels, of which nobody knows which is white"
    if planar and max(bits) > 8:
        return f"{max(bits)}-bit colors in planes"
    if planar and (1 in tags.get(EXTRA, ()) or photometric in (YCBCR, LAB)):
        return "colors in planes of a rare kind"
    if photometric == YCBCR and raw and tags.get(SUBSAMPLING, (2, 2)) != (1, 1):
        return "colors of a lower resolution, not compressed"
    if photometric == PALETTE and 0 < max(tags.get(COLORMAP, (0,))) < 256:
        return "a palette of 8 bits"
    return None


def _in_8_bits(transparency, layout):
    return (
        transparency * {"L;2": 85, "L;4": 17}[layout] if layout in ("L;2", "L;4") else transparency
    )
