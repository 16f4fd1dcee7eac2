"""Pictures: files, bytes, PIL images and arrays, and back; colors."""

from tfstyle.pictures.files import is_same_file
from tfstyle.pictures.finding import PHOTO_SUFFIXES, choose_photos, find_photos
from tfstyle.pictures.opening import READ_FORMATS
from tfstyle.pictures.reading import (
    MIN_SIDE,
    Picture,
    PictureLike,
    as_list_of_pictures,
    read_image,
    read_plain_jpeg,
    read_size,
    read_small,
)
from tfstyle.pictures.writing import (
    SAVE_SUFFIXES,
    check_output_path,
    check_size,
    encode,
    encode_gif,
    fitted,
    for_code,
    resize,
    save_image,
    save_or_rescue,
    to_pil,
)

__all__ = [
    "MIN_SIDE",
    "PHOTO_SUFFIXES",
    "READ_FORMATS",
    "SAVE_SUFFIXES",
    "Picture",
    "PictureLike",
    "as_list_of_pictures",
    "check_output_path",
    "check_size",
    "choose_photos",
    "encode",
    "encode_gif",
    "find_photos",
    "fitted",
    "for_code",
    "is_same_file",
    "read_image",
    "read_plain_jpeg",
    "read_size",
    "read_small",
    "resize",
    "save_image",
    "save_or_rescue",
    "to_pil",
]
