"""Photographs to train on: a folder, a zip or TFRecord shards, in one repeatable order."""

import atexit
import collections
import functools
import sys
import threading
import time
import weakref
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from tfstyle.pictures import PHOTO_SUFFIXES, choose_photos, find_photos, read_small
from tfstyle.pictures.files import (
    error_of_tensorflow,
    local,
    refuse_for_tensorflow,
    refuse_special,
    writing,
)
from tfstyle.pictures.finding import Found
from tfstyle.pictures.shards import in_tfrecord, picture_in, record_of

MAX_BAD_IN_A_ROW = 100
FLAT = 2.0  # levels of 255: what deviates less is scaled up by every norm of a network, to infinity


class Photos:
    """Photographs by number, each readable at any time from any thread.

    A photograph that cannot be used is replaced by its successor and listed in `bad`.

    Args:
        source: A folder, searched with all folders in it; a `.zip`, read in place; a `.tfrecord`
            file or a folder of them (`write_shards` writes some; TensorFlow Datasets' files do as
            well); `"coco/2017"` or another `NAME/CONFIG` of TensorFlow Datasets, where that is
            installed.
        cache_mb: Memory for photographs already read, in megabytes; 0: none.

    Attributes:
        names: Name of each photograph.
        passed_over: What else there is in the folder or zip, in a line of words.
        read: Function from a photograph's number to its path or encoded bytes.
        size: Function from its number to its size in bytes; None where that is not known.
        bad: `{name: reason}` of photographs that could not be used so far.

    Raises:
        FileNotFoundError: If there is no such file or folder, or no photograph in it.
        ValueError: If it is a file of another kind.
        ImportError: If TensorFlow Datasets is named but not installed.
    """

    kind = "photographs"

    def __init__(self, source, cache_mb=0):
        self.source, self.cache_mb = str(source), cache_mb
        found, self.read, self.size = self._open(source)
        self.names, self.passed_over = found.photos, str(found)
        if not self.names:
            raise FileNotFoundError(
                f"There is no photograph in '{source}'"
                f"{self.passed_over and f', but {self.passed_over}'}. "
                f"Names must end in {', '.join(PHOTO_SUFFIXES)}."
            )
        self.bad = {}
        self._cache, self._cached, self._lock = collections.OrderedDict(), 0, threading.Lock()

    def _open(self, source):
        return _open_source(source)

    def __len__(self):
        return len(self.names)

    def record(self):
        """Return what tells these photographs from others: pairs of name and size."""
        return [[name, self.size(number)] for number, name in enumerate(self.names)]

    def keep_to(self, record):
        """Be the photographs of a record, in their order; those that are gone become `bad`.

        Args:
            record: What `record` returned earlier.

        Raises:
            ValueError: If there are photographs that the record does not know.
        """
        here = self.record()
        known = {(name, size) for name, size in record}
        others = [name for name, size in here if (name, size) not in known]
        if others:
            more = f" and {len(others) - 1} more" if len(others) > 1 else ""
            raise ValueError(
                f"'{self.source}' holds photographs that are new or changed: {others[0]}{more}."
            )
        if here == record:
            return
        number = {name: number for number, name in enumerate(self.names)}
        names, read = [name for name, _ in record], self.read
        self.names, self.read = names, lambda place: read(number[names[place]])
        self.size = lambda place: record[place][1]
        gone = [name for name in names if name not in number]
        self.bad |= dict.fromkeys(gone, "is gone since the training began")

    @property
    def reads(self):
        """For each photograph, a function that returns its path or encoded bytes."""
        return [functools.partial(self.read, number) for number in range(len(self))]

    def order(self, epoch, seed=0):
        """Return the numbers of all photographs in the order of an epoch."""
        return _order(len(self), epoch, seed)

    def number(self, position, seed=0):
        """Return which photograph stands at `position` of an endless, shuffled sequence."""
        epoch, place = divmod(position, len(self))
        return int(self.order(epoch, seed)[place])

    def crop(self, position, size, short_sides, seed=0):
        """Return the crop at `position` of the sequence.

        Args:
            position: Which, from 0.
            size: Side of the crop in pixels.
            short_sides: Least and greatest short side in pixels that the photograph is resized
                to, at random, before it is cropped and perhaps mirrored; where nothing is in the
                crop, `size`.
            seed: Seed of order and crops.

        Returns:
            uint8 array `(size, size, 3)`.

        Raises:
            ValueError: If `MAX_BAD_IN_A_ROW` photographs one after the other cannot be used.
        """
        random = np.random.default_rng((seed, position))
        low, high = (max(side, size) for side in short_sides)
        short_side = int(random.integers(low, high + 1))
        where, mirrored = random.random(2), random.random() < 0.5
        first = self.number(position, seed)
        for number in range(first, first + MAX_BAD_IN_A_ROW):
            name = self.names[number % len(self)]
            if name in self.bad:
                continue
            try:
                image = self._photo(number % len(self), high)
                break
            except Exception as error:  # Archives and decoders raise anything on damaged data.
                self.bad[name] = " ".join(str(error).split())
        else:
            count = min(MAX_BAD_IN_A_ROW, len(self))
            raise ValueError(
                f"{count} {self.kind} of '{self.source}' in a row cannot be used. "
                f"The last: {name}: {self.bad[name]}"
            )
        pixels = _cut(image, size, short_side, where)
        if pixels.std((0, 1)).max() < FLAT:
            pixels = _cut(image, size, size, where)
        return pixels[:, ::-1] if mirrored else pixels

    def _photo(self, number, short_side):
        """Return a photograph as an RGB PIL image, with a short side of about `short_side`."""
        key = number, short_side
        with self._lock:
            image = self._cache.get(key)
            if image is not None:
                self._cache.move_to_end(key)
        if image is not None:
            return image
        image = read_small(self.read(number), short_side)
        least = short_side // 4
        if min(image.size) < least:
            raise ValueError(f"too small: {image.width}×{image.height} px, less than {least}")
        if self.cache_mb:
            with self._lock:
                if key not in self._cache:  # Another thread may have read it meanwhile.
                    self._cache[key] = image
                    self._cached += 3 * image.width * image.height
                while self._cached > self.cache_mb * 1e6:
                    _, oldest = self._cache.popitem(last=False)
                    self._cached -= 3 * oldest.width * oldest.height
        return image


def _cut(image, size, short_side, where):
    """Return the crop at a place, each from 0 to 1, of a picture brought to this short side."""
    scale = short_side / min(image.size)
    width, height = (max(size, round(side * scale)) for side in image.size)
    left, top = (int(where[i] * (side - size + 1)) for i, side in enumerate((width, height)))
    box = [edge / scale for edge in (left, top, left + size, top + size)]
    box[2], box[3] = min(box[2], image.width), min(box[3], image.height)
    return np.asarray(
        image.resize((size, size), Image.Resampling.BICUBIC, box=box, reducing_gap=3.0)
    )


def batches(photos, size, short_sides, batch_size, *, first=0, seed=0, num_styles=1, gallery=None):
    """Return an endless tf.data pipeline of crops, the same from any start.

    What stands at a position follows from `seed` and the position alone, so that a run that goes
    on from step `s` with `first=s` sees what it would have seen without the break.

    Args:
        photos: `Photos`.
        size: Side of the crops in pixels.
        short_sides: See `Photos.crop`.
        batch_size: Photographs in a batch.
        first: Number of batches to leave out at the start, without reading them.
        seed: Seed of order, crops and styles.
        num_styles: Above 1, every crop comes with the weights of one style, in turn.
        gallery: A `Gallery` and the short sides of its paintings, whose shorter is the side of
            their crops: with every batch of photographs comes one of as many paintings.

    Returns:
        `tf.data.Dataset` of float32 `(batch_size, size, size, 3)` in [0, 1]; of several styles,
        of `((images, style_weights),)` with one-hot float32 `(batch_size, num_styles)`; with a
        gallery, of `((images, paintings),)`.
    """
    import tensorflow as tf

    def crop_of(photos, size, short_sides):
        # TensorFlow keeps the function as long as the process lives: let it hold no photographs.
        held = weakref.ref(photos)

        def read(position):
            photos = held()
            with _reading:
                if _reading.closed or photos is None:
                    return np.zeros((size, size, 3), np.uint8)
                return photos.crop(int(position), size, short_sides, seed)

        def crop(position):
            image = tf.numpy_function(read, [position], tf.uint8, stateful=False)
            return tf.cast(tf.ensure_shape(image, (size, size, 3)), tf.float32) / 255

        return crop

    photo = crop_of(photos, size, short_sides)
    painting = crop_of(gallery[0], gallery[1][0], gallery[1]) if gallery else None

    def element(position):
        if painting:
            return photo(position), painting(position)
        if num_styles == 1:
            return photo(position)
        style = (position + position // num_styles) % num_styles
        return photo(position), tf.one_hot(style, num_styles)

    begin = first * batch_size
    dataset = tf.data.Dataset.range(begin, sys.maxsize)
    dataset = dataset.map(element, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    dataset = dataset.batch(batch_size, drop_remainder=True)
    if isinstance(dataset.element_spec, tuple):
        dataset = dataset.map(lambda *parts: (parts,))
    dataset = dataset.prefetch(tf.data.AUTOTUNE)
    dataset.sources = photos, gallery  # as long as it is read
    return dataset


def write_shards(photos, folder, shards=16):
    """Copy photographs, unchanged, into TFRecord files.

    A photograph that cannot be read is left out and listed in `photos.bad`.

    Args:
        photos: `Photos`.
        folder: Where to; made if it does not exist. Each file appears when it is whole.
        shards: Number of files.

    Returns:
        Paths of the files, `photos-00000-of-00016.tfrecord` and so on. Their records are
        `tf.train.Example` with `image/filename` and `image/encoded`.

    Raises:
        OSError: If they cannot be written.
        ValueError: If the folder has a name that TensorFlow cannot write to.
    """
    import tensorflow as tf

    refuse_for_tensorflow(folder)
    folder = local(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for shard in range(shards):
        path = folder / f"photos-{shard:05}-of-{shards:05}.tfrecord"
        with writing(path) as temporary:
            try:
                with tf.io.TFRecordWriter(str(temporary)) as writer:
                    for example in _examples(photos, range(shard, len(photos), shards)):
                        writer.write(example)
            except tf.errors.OpError as error:  # TensorFlow's, of a full disk too
                raise error_of_tensorflow(path, error) from error
        paths.append(path)
    return paths


def _open_source(source):
    """Return the photographs found, and functions from number to path or bytes, and to size in
    bytes."""
    path = local(source)
    if path.is_dir():
        shards = sorted(file for file in path.glob("[!.]*.tfrecord*") if file.is_file())
        if shards:
            return _open_shards(shards)
        found = find_photos(path)

        def file(number):
            return path / found.photos[number]

        return found, file, lambda number: _size(file(number))
    if path.is_file() and zipfile.is_zipfile(path):
        archive = zipfile.ZipFile(path)
        found = choose_photos(name for name in archive.namelist() if not name.endswith("/"))

        def size(number):
            return archive.getinfo(found.photos[number]).file_size

        return found, lambda number: archive.read(found.photos[number]), size
    if path.is_file() and ".tfrecord" in path.name:
        return _open_shards([path])
    if path.exists():
        raise ValueError(
            f"Photographs must come in a folder, a .zip or TFRecord files. Received: '{source}'."
        )
    if str(source).count("/") == 1 and not path.parent.exists():
        return _open_tfds(str(source))
    raise FileNotFoundError(f"There is no file or folder '{source}' with photographs.")


def _size(path):
    try:
        return path.stat().st_size
    except OSError:  # it went away, or is a link that leads nowhere
        return None


def _open_shards(paths):
    """Find where the records of TFRecord files begin, so that any can be read by number."""
    places = []
    for path in paths:
        with open(path, "rb") as file:
            size = path.stat().st_size
            places += [(path, *place) for place in in_tfrecord(file, size, path)]

    def read(number):
        path, begin, length = places[number]
        with open(path, "rb") as file:
            file.seek(begin)
            return picture_in(file.read(length))[1]

    names = [f"{path.name}#{number}" for number, (path, _, _) in enumerate(places)]
    return Found(names, {}), read, lambda number: places[number][2]


def _open_tfds(name):
    try:
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise ImportError(
            f"There is no file or folder '{name}'; for the data set of that name install "
            "TensorFlow Datasets: pip install tensorflow-datasets array-record."
        ) from error
    undecoded = {"image": tfds.decode.SkipDecoding()}
    records = tfds.data_source(name, split="train", decoders=undecoded)
    names = [f"{name}#{number}" for number in range(len(records))]
    return Found(names, {}), lambda number: records[number]["image"], lambda number: None


def _examples(photos, numbers):
    """Yield photographs as records; those that cannot be read go into `photos.bad`."""
    for number in numbers:
        try:
            encoded = photos.read(number)
            if isinstance(encoded, Path):
                refuse_special(encoded)
                encoded = encoded.read_bytes()
        except Exception as error:  # archives raise anything on damaged data
            photos.bad[photos.names[number]] = " ".join(str(error).split())
            continue
        yield record_of(photos.names[number], encoded)


class _Reading:
    """Count the reads under way, and wait for them before Python ends.

    A pipeline's threads that ask for Python when it is already shutting down never come back, and
    the process would wait for them for ever.
    """

    def __init__(self):
        self.closed, self._count, self._changed = False, 0, threading.Condition()
        atexit.register(self.close)

    def __enter__(self):
        with self._changed:
            self._count += 1

    def __exit__(self, *error):
        with self._changed:
            self._count -= 1
            self._changed.notify_all()

    def close(self):
        self.closed = True
        for _ in range(3):  # a pipeline asks on until its buffers are full
            with self._changed:
                self._changed.wait_for(lambda: not self._count, timeout=10)
            time.sleep(0.05)


_reading = _Reading()


@functools.lru_cache(maxsize=4)
def _order(count, epoch, seed):
    order = np.random.default_rng((seed, epoch)).permutation(count)
    order.setflags(write=False)  # all callers get the same
    return order
