"""Where photographs come from and paintings go to: any file system that Apache Beam knows."""

import functools
import os
import posixpath
import re
import tempfile
import uuid
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from tfstyle.pictures import PHOTO_SUFFIXES, choose_photos, find_photos
from tfstyle.pictures.files import PREFIX, check_folder_writable, is_same_file, refuse_special
from tfstyle.pictures.files import write as write_local
from tfstyle.pictures.shards import SHARD_SUFFIXES, in_tar, in_tfrecord, picture_in

LIST = ".txt"  # of paths, one a line
WHOLE_WHEN_CLOSED = ("gs", "s3", "azfs")  # file systems where a file is there only when it is whole
_WILD = re.compile(r"[*?[]")


@dataclass(frozen=True)
class Photo:
    """A photograph somewhere.

    Attributes:
        source: What the manifest calls it.
        name: Name for its painting, a path with slashes.
        path: Path of the file that it is, or that it lies in.
        length: Its bytes; 0: nobody has looked.
        begin: Its first byte in a shard; None: it is a file of its own.
    """

    source: str
    name: str
    path: str
    length: int = 0
    begin: int | None = None


def is_local(path):
    """Tell whether a path is one of this machine."""
    return FileSystems.get_scheme(path) is None


def absolute(path):
    """Return a path as text that other processes find, too.

    Raises:
        ValueError: If it is empty, or cannot be written down in UTF-8.
    """
    path = os.fspath(path)
    if not path:
        raise ValueError("A path must not be empty. This folder is '.'. Received: ''.")
    path = os.path.abspath(os.path.expanduser(path)) if is_local(path) else path.rstrip("/")
    if not _is_utf8(path):
        raise ValueError(f"A path must be in UTF-8. Received: {path!r}. Rename it.")
    return path


def find(place, without=None):
    """Yield a `Photo` for each photograph and each shard at a place; shards are for `unpack`.

    Args:
        place: A photograph, a shard, a list of such, a folder with some, or a pattern, as
            `absolute` returns it.
        without: Path of a folder to pass over.

    Raises:
        ValueError: If a list is not text.
    """
    if place.endswith(LIST):
        for path in map(absolute, filter(None, map(str.strip, _lines(place)))):
            yield Photo(path, re.sub(r"^\w+://|^/+", "", path), path, _length(path))
    elif is_local(place) and os.path.isdir(place):
        found = find_photos(place, without)
        shards = [name for name, why in found.others.items() if why in SHARD_SUFFIXES]
        for name in [*found.photos, *shards]:
            path = os.path.join(place, name)
            yield Photo(path, name.replace(os.sep, "/"), path, _length(path))
    elif pattern := _pattern(place):
        top = _top(pattern)
        files = {
            file.path[len(top) :].lstrip("/"): file
            for file in FileSystems.match([pattern])[0].metadata_list
            if not _is_in(file.path, without)
        }
        found = choose_photos(files)
        shards = [name for name, why in found.others.items() if why in SHARD_SUFFIXES]
        for name in [*found.photos, *shards]:
            yield Photo(files[name].path, name, files[name].path, files[name].size_in_bytes)
    else:
        yield Photo(place, posixpath.basename(place), place, _length(place))


def _lines(path):
    try:
        return read_file(path).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(
            f"A list of photographs must be text in UTF-8. Received: '{path}'."
        ) from error


def is_shard(photo):
    """Tell whether what `find` found holds photographs."""
    return PurePosixPath(photo.path).suffix.lower() in SHARD_SUFFIXES


def unpack(shard):
    """Yield the `Photo`s in a shard that `find` found.

    Raises:
        ValueError: If it is damaged; after all that is whole.
    """
    with _open(shard.path) as file:
        if shard.path.lower().endswith(".tar"):
            for name, begin, length in in_tar(file, shard.source):
                if choose_photos([name]).photos:
                    yield Photo(f"{shard.source}#{name}", name, shard.path, length, begin)
            return
        size = shard.length or _size(shard.path)
        for number, (begin, length) in enumerate(in_tfrecord(file, size, shard.source)):
            file.seek(begin)
            try:
                name, _ = picture_in(file.read(length))
            except ValueError:  # reading the photograph will tell
                name = None
            name = name or f"{PurePosixPath(shard.name).stem}-{number:06}"
            yield Photo(f"{shard.source}#{name}", name, shard.path, length, begin)


def read(photo):
    """Return the encoded bytes of a photograph."""
    if photo.begin is None:
        return read_file(photo.path)
    with _open(photo.path) as file:
        file.seek(photo.begin)
        content = file.read(photo.length)
    return content if photo.path.lower().endswith(".tar") else picture_in(content)[1]


def check_exists(place, argument="content"):
    """Check that there is something at a place.

    Raises:
        FileNotFoundError: If not.
        ValueError: If nobody knows its file system.
    """
    pattern = None if is_local(place) and os.path.exists(place) else _pattern(place) or place
    if pattern and not FileSystems.match([pattern], limits=[1])[0].metadata_list:
        raise FileNotFoundError(
            f"`{argument}` must name pictures, shards of them or a folder. Received: '{place}', "
            "where there is nothing."
        )


def check_output(folder):
    """Check that files can be written to a folder of this machine; of others writing will tell.

    Raises:
        OSError: If they cannot.
    """
    if is_local(folder):
        check_folder_writable(folder)


def list_files(folder):
    """Yield the paths of all files in a folder, relative to it; none if there is no such folder.

    Names that are not UTF-8, which Beam cannot write down, are passed over: none of ours are.
    """
    if is_local(folder):
        for here, _, names in os.walk(folder):
            for name in names:
                path = os.path.relpath(os.path.join(here, name), folder).replace(os.sep, "/")
                if _is_utf8(path):
                    yield path
        return
    for found in FileSystems.match([f"{folder}/**"])[0].metadata_list:
        yield found.path[len(folder) + 1 :]


def read_file(path):
    """Return the bytes of a file, as they are."""
    with _open(path) as file:
        return file.read()


def write_file(path, content):
    """Write a file whole or not at all; an older one is replaced."""
    if is_local(path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        write_local(path, content)
        return
    in_one_step = FileSystems.get_scheme(path) in WHOLE_WHEN_CLOSED
    folder, name = posixpath.split(path)
    suffix = PurePosixPath(name).suffix
    written = path if in_one_step else f"{folder}/{PREFIX}{uuid.uuid4().hex[:16]}{suffix}"
    with FileSystems.create(written, compression_type=CompressionTypes.UNCOMPRESSED) as file:
        file.write(content)
    if not in_one_step:
        if FileSystems.exists(path):
            FileSystems.delete([path])
        FileSystems.rename([written], [path])


def remove_file(path):
    """Remove a file, whose name may have brackets in it."""
    if is_local(path):
        Path(path).unlink(missing_ok=True)
    else:
        FileSystems.delete([path])


@functools.cache
def local_copy(path):
    """Return the path of a file on this machine that is what a file anywhere is now."""
    if is_local(path):
        return Path(path)
    copy = Path(tempfile.mkdtemp(prefix="tfstyle-"), posixpath.basename(path))
    write_local(copy, read_file(path))
    return copy


def _is_utf8(name):
    return name.encode("utf-8", "ignore").decode() == name


def is_same(path, other):
    """Tell whether two paths lead to one file or folder."""
    return path == other or (is_local(path) and is_local(other) and is_same_file(path, other))


def _open(path):
    if is_local(path):
        refuse_special(path)  # which would be waited for
    return FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED)


def _pattern(place):
    """Return the pattern of the files at a place; None if it names a file."""
    if is_local(place) and os.path.exists(place):
        return None
    if _WILD.search(place):
        return place
    known = (*PHOTO_SUFFIXES, *SHARD_SUFFIXES, LIST)
    if is_local(place) or PurePosixPath(place).suffix.lower() in known:
        return None
    return f"{place}/**"


def _size(path):
    """Return the bytes of a file."""
    if is_local(path):  # whose name may have brackets in it, a pattern to Beam
        return os.path.getsize(path)
    return FileSystems.match([path])[0].metadata_list[0].size_in_bytes


def _length(path):
    """Return the bytes of a file of this machine; 0 of others, and where reading it will tell."""
    return os.path.getsize(path) if is_local(path) and os.path.exists(path) else 0


def _top(pattern):
    """Return the folder that all that fits a pattern lies in."""
    return posixpath.dirname(_WILD.split(pattern, 1)[0])


def _is_in(path, folder):
    return folder is not None and path.startswith(f"{folder}/")
