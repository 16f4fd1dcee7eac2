"""Photographs inside tar archives and TFRecord files: where each lies; making such files."""

import io
import os
import struct
import tarfile
import tempfile
from pathlib import Path

SHARD_SUFFIXES = (".tar", ".tfrecord")


def in_tar(file, name):
    """Yield name, first byte and length of each file in a tar archive that is not compressed.

    Args:
        file: Binary file that can be searched.
        name: Its name in messages.

    Raises:
        ValueError: If it is no such archive, or cut short; after all that is whole.
    """
    try:
        with tarfile.open(fileobj=file, mode="r:") as archive:
            for member in archive:
                if member.isfile():
                    yield member.name.removeprefix("./"), member.offset_data, member.size
    except tarfile.TarError as error:
        raise ValueError(
            f"'{name}' is cut short, or no tar file that is not compressed."
        ) from error


def in_tfrecord(file, size, name):
    """Yield first byte and length of each record of a TFRecord file.

    Args:
        file, name: As for `in_tar`. The reader may move in the file meanwhile.
        size: Its size in bytes.

    Raises:
        ValueError: If it is no such file, or cut short; after all that is whole.
    """
    begin = 0
    while begin < size:
        file.seek(begin)
        header = file.read(12)
        length = struct.unpack("<Q", header[:8])[0] if len(header) == 12 else size
        begin += 12
        if begin + length + 4 > size:
            raise ValueError(f"'{name}' is cut short, or no TFRecord file.")
        yield begin, length
        begin += length + 4


def picture_in(record):
    """Return name and encoded bytes of the picture in a record; the name None where it has none.

    Raises:
        ValueError: If there is no picture in it.
    """
    import tensorflow as tf
    from google.protobuf.message import DecodeError

    try:
        features = tf.train.Example.FromString(record).features.feature
    except DecodeError as error:
        raise ValueError("the record is damaged, or no tf.train.Example") from error
    name = features["image/filename"].bytes_list.value if "image/filename" in features else ()
    for key in ("image/encoded", "image"):
        if key in features and features[key].bytes_list.value:
            return (os.fsdecode(name[0]) if name else None), features[key].bytes_list.value[0]
    raise ValueError("the record has no feature 'image/encoded' or 'image'")


def record_of(name, encoded):
    """Return a record that `picture_in` reads."""
    import tensorflow as tf

    features = {"image/filename": os.fsencode(name), "image/encoded": encoded}
    return tf.train.Example(
        features=tf.train.Features(
            feature={
                key: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
                for key, value in features.items()
            }
        )
    ).SerializeToString()


def tar_of(files):
    """Return the bytes of a tar archive of `{name: bytes}`, always the same for the same."""
    whole = io.BytesIO()
    with tarfile.TarFile(fileobj=whole, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return whole.getvalue()


def tfrecord_of(files):
    """Return the bytes of a TFRecord file of `{name: bytes}`."""
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "shard")
        with tf.io.TFRecordWriter(str(path)) as writer:
            for name, content in files.items():
                writer.write(record_of(name, content))
        return path.read_bytes()
