"""Every file that the package writes: whole or not at all, under its name only when on the disk."""

import contextlib
import functools
import json
import os
import re
import shutil
import stat
import time
import uuid
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: left-overs stay
    fcntl = None  # type: ignore[assignment]

PREFIX = ".tfstyle-"  # of temporary files and folders, all of which `is_temporary` knows
YOUNG_S = 60
KINDS = {
    stat.S_ISDIR: "a folder",
    stat.S_ISFIFO: "a pipe",
    stat.S_ISSOCK: "a socket",
    stat.S_ISCHR: "a device",
    stat.S_ISBLK: "a device",
}


def write(path, data):
    """Write bytes, or text in UTF-8 whatever the system writes, as `writing` does."""
    if isinstance(data, str):
        # A file name that is not UTF-8 stands in text as JSON has it, \udce9.
        data = data.encode("utf-8", "backslashreplace")
    with writing(path) as temporary:
        temporary.write_bytes(data)


@contextlib.contextmanager
def writing(path):
    """Give a temporary path to write a file to, and its name to what was written there.

    When the block ends, the file is brought to the disk and takes the place of an older one, whose
    permissions it keeps. If anything fails, the older one stays as it is. Where `path` is a link,
    the file that it leads to is written.

    The block may check what it wrote, and raise: libraries that write by themselves do not all
    tell of a full disk.

    Args:
        path: Path of the file.

    Yields:
        `pathlib.Path`, absolute, of an empty file beside it with the same suffix.

    Raises:
        OSError: If the file cannot be written; names `path`, never the temporary file.
    """
    path = local(path)
    target = Path(os.path.realpath(path))
    with _naming(path), temporary_beside(target) as temporary:
        temporary.touch()
        with _locked(temporary):
            yield temporary
            if target.exists():
                refuse_special(path)
                temporary.chmod(stat.S_IMODE(target.stat().st_mode))
            sync(temporary)
            os.replace(temporary, target)
            with contextlib.suppress(OSError):  # the file is whole; not all systems sync folders
                _sync_one(target.parent)


@contextlib.contextmanager
def writing_folder(parent):
    """Give a new folder in `parent` to write to; it is removed unless the block renames it.

    Before it does, it should call `sync`.
    """
    with temporary_beside(local(parent) / "folder") as temporary:
        temporary.mkdir()
        with _locked(temporary):
            yield temporary


@contextlib.contextmanager
def temporary_beside(path):
    """Give a path for a temporary file or folder beside another; remove what is there at the end.

    Not by tempfile, whose files only their owner may read.
    """
    _sweep(path.parent)
    temporary = path.with_name(f"{PREFIX}{uuid.uuid4().hex[:16]}{path.suffix}")
    try:
        yield temporary
    finally:
        _remove(temporary)


def check_writable(path):
    """Check that a file can be written, before the work that makes it.

    Raises:
        ValueError: If the path is a folder, a device or the like, or an address.
        FileNotFoundError: If its folder does not exist.
        OSError: If the file or its folder cannot be written to.
    """
    path = local(path)
    target = Path(os.path.realpath(path))
    if target.exists():
        refuse_special(path)
        if not os.access(target, os.W_OK):
            raise PermissionError(f"Outputs must not be protected. Received: '{path}', read-only.")
    if not target.parent.is_dir():
        raise FileNotFoundError(
            f"The output path must lie in an existing folder. Received: '{path}'. "
            f"Create the folder '{target.parent if path.is_symlink() else path.parent}' first."
        )
    try:
        with temporary_beside(target) as temporary:
            temporary.touch()
    except OSError as error:
        raise type(error)(
            f"The output must lie in a folder that can be written to. Received: '{path}' "
            f"({error.strerror})."
        ) from error


def check_record(path, keys):
    """Check that a record, JSON beside an output, can be written and replaces but an older one.

    Args:
        path: Path of the record.
        keys: Set of keys by which a record of this kind is known.

    Raises:
        ValueError: If something else lies there.
        OSError: If it cannot be written.
    """
    check_writable(path)
    if not path.exists():
        return
    try:
        found = json.loads(path.read_text("utf-8"))
    except ValueError:
        found = None
    if not (isinstance(found, dict) and keys <= found.keys()):
        raise ValueError(
            f"The record of the run would replace '{path}', which is none. Choose another output."
        )


def check_folder_writable(path):
    """Check that files can be written to a folder, or to a new one in one that is there.

    Raises:
        ValueError: If the path is an address.
        OSError: If they cannot.
    """
    path = folder = local(path)
    while not os.path.lexists(folder):
        folder = folder.parent
    if not folder.is_dir():
        raise NotADirectoryError(f"The output must be a folder. Received: '{path}'.")
    check_writable(folder / "file")


def is_temporary(name):
    """Tell whether a file's name is one of `writing`: if no run is at it, a killed one left it."""
    return re.match(re.escape(PREFIX) + "[0-9a-f]{16}", name) is not None


def sync(path):
    """Bring a file, or a folder with all in it, to the disk."""
    for each in path.rglob("*") if path.is_dir() else (path,):
        if each.is_file():
            _sync_one(each)


def local(path):
    """Return a path with `~` expanded.

    Raises:
        ValueError: If it is an address.
        TypeError: If it is neither text nor a path.
    """
    if not isinstance(path, (str, bytes, os.PathLike)):
        raise TypeError(f"A path must be text or a path. Received: {path!r}.")
    path = os.fsdecode(path)
    # pathlib makes one slash of two.
    if re.match(r"\w{2,}:/|data:", path) and not os.path.lexists(path):
        raise ValueError(f"A file must be local. Received: '{path:.60}', an address. Download it.")
    return Path(path).expanduser()


def is_same_file(path, other):
    """Tell whether two paths lead to one file, by links or by another spelling."""
    try:
        return os.path.samefile(path, other)
    except OSError:  # one is not there
        return os.path.realpath(path) == os.path.realpath(other)


def refuse_special(path):
    """Refuse what is there but is no file: a folder, a pipe, a device.

    Raises:
        ValueError: If it is.
        OSError: If there is nothing, or it cannot be looked at.
    """
    mode = os.stat(path).st_mode
    for is_kind, kind in KINDS.items():
        if is_kind(mode):
            raise ValueError(f"The path must name a file. Received: '{path}', {kind}.")


def refuse_for_tensorflow(path):
    """Refuse a path that TensorFlow writes and does not find again, or cannot write.

    Raises:
        ValueError: If it is one.
    """
    path = os.path.abspath(os.fsdecode(path)).replace(os.sep, "/")
    if re.search(r"\[.+\]|\\|[\ud800-\udfff]", path):
        raise ValueError(
            "TensorFlow finds no path with brackets, backslashes or what is not UTF-8 in it. "
            f"Received: {path!r}. Rename it."
        )


def error_of_tensorflow(path, error):
    """Return the `OSError` for what TensorFlow said as it wrote to a path."""
    reason = re.sub(r".*; | \[Op:.*", "", " ".join(error.message.split()))
    return OSError(f"'{path}' could not be written: {reason}")


@contextlib.contextmanager
def _naming(path):
    """Let errors of the system name a path in place of the temporary one, or of none."""
    try:
        yield
    except OSError as error:
        names = [name for name in (error.filename, error.filename2) if isinstance(name, str)]
        if error.strerror and all(is_temporary(os.path.basename(name)) for name in names[:1]):
            error.filename = str(path)
            del error.filename2  # None would be told, too
        raise


@contextlib.contextmanager
def _locked(path):
    """Hold a lock, which the system lets go even of a process that is killed."""
    handle = os.open(path, os.O_RDONLY)
    try:
        _lock(handle)
        yield
    finally:
        os.close(handle)


def _sync_one(path):
    handle = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _lock(handle):
    """Lock a file; tell whether nobody else has."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # or the file system knows no locks
        return False
    return True


@functools.cache  # once a folder: one of very many files takes a moment to list
def _sweep(folder):
    """Remove what killed runs left in a folder: temporary files that nobody has locked."""
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):
            if is_temporary(name):
                _remove_if_left(folder / name)


def _remove_if_left(path):
    with contextlib.suppress(OSError):
        handle = os.open(path, os.O_RDONLY)
        try:  # a moment passes between a file's birth and its lock
            if time.time() - os.fstat(handle).st_mtime > YOUNG_S and _lock(handle):
                _remove(path)
        finally:
            os.close(handle)


def _remove(path):
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
