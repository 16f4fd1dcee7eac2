"""`tfstyle stylize` in one pass: one photograph or many, in a trained style or a painting's."""

import sys
import time

from tfstyle.cli import flags, photos
from tfstyle.cli.output import deliver
from tfstyle.cli.quiet import load_tensorflow
from tfstyle.painting import zoo
from tfstyle.painting.doors import paint_photos, stylize
from tfstyle.pictures import check_size, fitted, read_image, read_size


def run(options, content, style, config, paintings=()):
    """Paint photographs; return the exit code: 1 if some were left out.

    Args:
        options: `tfstyle.cli.stylize.Stylize`.
        content: Paths of photographs, and of folders with some.
        style: `Style` or `Paintings`.
        config: `PaintConfig`.
        paintings: Paths of paintings, which no output may replace.
    """
    flags.check_quality(options.quality)
    jobs, many, passed_over = photos.with_outputs(
        content, options.output, (*paintings, *options.masks, *options.style_masks)
    )
    if not many:  # what is wrong is reported before the network is loaded
        _read(*jobs[0], config.size)
    load_tensorflow()
    from tfstyle.painting.sizes import TOGETHER

    if options.masks:
        if many:
            raise ValueError("`masks` are for one photograph. Received: several.")
        return _paint_with_masks(options, *jobs[0], style, config, paintings)
    if options.style_weights:
        style.point(zoo.load(style.path), options.style_weights)
    done, left_out, begun = 0, [], time.monotonic()
    for batch in _batches(sorted(jobs, key=_size), config.size, TOGETHER, left_out):
        pictures = paint_photos(
            [picture for _, picture in batch],
            style,
            config,
            style_weights=options.style_weights or None,
        )
        for (output, _), picture in zip(batch, pictures, strict=True):
            deliver(picture, output, options.quality)
        done += len(batch)
        if many and sys.stderr.isatty():
            seen = done + len(left_out)
            left = (time.monotonic() - begun) / done * (len(jobs) - seen)
            print(f"{seen}/{len(jobs)}  {left:.0f} s left", end="\r", file=sys.stderr)
    return photos.exit_code(len(left_out), len(jobs), passed_over)


def _paint_with_masks(options, photo, output, style, config, paintings):
    picture = stylize(
        photo,
        list(paintings) or (style.name if style.name in zoo.styles() else style.path),
        options.recipe or "default",
        masks=options.masks,
        style_masks=options.style_masks or None,
        style_weights=options.style_weights or None,
        **vars(config),
    )
    deliver(picture, output, options.quality)
    return 0


def _size(job):
    """Return what sorts photographs of one size together; those that cannot be opened go first."""
    try:
        return read_size(job[0])
    except (ValueError, OSError):  # reading it all will tell
        return 0, 0


def _read(photo, output, size):
    """Read a photograph whose painting, of a long side of `size` pixels, fits its file."""
    picture = read_image(photo)
    check_size(fitted(picture.rgb.shape, size), output.suffix)
    return picture


def _batches(jobs, size, most, left_out):
    """Read photographs, and give lists of (output, picture) of one size to paint together.

    A list has `most` pixels, or one photograph. What cannot be read, or would be too large for its
    file, is told, and goes into the list `left_out`.
    """
    batch = []
    for photo, output in jobs:
        try:
            picture = _read(photo, output, size)
        except (ValueError, OSError) as error:
            left_out.append(photo)
            photos.leave_out(photo, error)
            continue
        pixels = (len(batch) + 1) * picture.rgb[..., 0].size
        if batch and (batch[0][1].rgb.shape != picture.rgb.shape or pixels > most):
            yield batch
            batch = []
        batch.append((output, picture))
    if batch:
        yield batch
