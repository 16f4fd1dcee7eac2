"""Photographs of one size painted together, whoever asks: the rule for folders and clusters."""

from tfstyle.pictures import check_size, fitted, read_image, read_size


def read_to_paint(photo, output, size):
    """Read a photograph whose painting, of a long side of `size` pixels, fits its file.

    Args:
        photo: In any form that `tfstyle.pictures.read_image` takes.
        output: Path of the painting's file.
        size: Long side in pixels; None: the photograph's own.

    Raises:
        As `read_image`; ValueError if the format takes no such picture.
    """
    picture = read_image(photo)
    check_size(fitted(picture.rgb.shape, size), output.suffix)
    return picture


def batches(jobs, size, most, leave_out):
    """Read photographs, and yield lists of (output, picture) of one size to paint together.

    Args:
        jobs: List of pairs of photograph and output as for `read_to_paint`.
        size: As for `read_to_paint`.
        most: Pixels of a list, which has these or one photograph.
        leave_out: Called with photograph, output and error of each that cannot be read, or would
            be too large for its file.

    Yields:
        List of (output, `tfstyle.pictures.Picture`).
    """
    batch = []
    for photo, output in sorted(jobs, key=_size):
        try:
            picture = read_to_paint(photo, output, size)
        except (ValueError, OSError) as error:
            leave_out(photo, output, error)
            continue
        pixels = (len(batch) + 1) * picture.rgb[..., 0].size
        if batch and (batch[0][1].rgb.shape != picture.rgb.shape or pixels > most):
            yield batch
            batch = []
        batch.append((output, picture))
    if batch:
        yield batch


def _size(job):
    """Return what sorts photographs of one size together; those that cannot be opened go first."""
    try:
        return read_size(job[0])
    except (ValueError, OSError):  # reading it all will tell
        return 0, 0
