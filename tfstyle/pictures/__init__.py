"""Pictures: files, bytes, PIL images and arrays, and back; colors."""

from tfstyle.pictures.reading import (
    MIN_SIDE,
    READ_FORMATS,
    Picture,
    read_image,
    read_plain_jpeg,
    read_small,
)
from tfstyle.pictures.writing import (
    SAVE_SUFFIXES,
    check_output_path,
    check_size,
    encode,
    fitted,
    is_same_file,
    resize,
    save_image,
    save_or_rescue,
    to_pil,
)

__all__ = [
    "MIN_SIDE",
    "READ_FORMATS",
    "SAVE_SUFFIXES",
    "Picture",
    "check_output_path",
    "check_size",
    "encode",
    "fitted",
    "is_same_file",
    "read_image",
    "read_plain_jpeg",
    "read_small",
    "resize",
    "save_image",
    "save_or_rescue",
    "to_pil",
]
