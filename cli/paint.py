"""`tfstyle stylize` in one pass: one photograph or many, in a trained style or a painting's."""

import time

from tfstyle.cli import flags, photos
from tfstyle.cli.output import deliver
from tfstyle.cli.quiet import load_tensorflow
from tfstyle.painting import zoo
from tfstyle.painting.doors import paint_photos, stylize
from tfstyle.painting.together import batches, read_to_paint
from tfstyle.progress import Line, clock


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
        read_to_paint(*jobs[0], config.size)
    load_tensorflow()
    from tfstyle.painting.sizes import TOGETHER

    if options.masks:
        if many:
            raise ValueError("`masks` are for one photograph. Received: several.")
        return _paint_with_masks(options, *jobs[0], style, config, paintings)
    if options.style_weights:
        style.point(zoo.load(style.path), options.style_weights)
    done, left_out, begun = 0, [], time.monotonic()
    line = Line(at_once=False)

    def leave_out(photo, output, error):
        left_out.append(photo)
        photos.leave_out(photo, error)

    for batch in batches(jobs, config.size, TOGETHER, leave_out):
        pictures = paint_photos(
            [picture for _, picture in batch],
            style,
            config,
            style_weights=options.style_weights or None,
        )
        for (output, _), picture in zip(batch, pictures, strict=True):
            deliver(picture, output, options.quality)
        done += len(batch)
        if many and line.due():
            seen = done + len(left_out)
            left = (time.monotonic() - begun) / done * (len(jobs) - seen)
            line.show(f"{seen}/{len(jobs)}  {clock(left)} left")
    line.end()
    return photos.exit_code(len(left_out), len(jobs), passed_over)


def _paint_with_masks(options, photo, output, style, config, paintings):
    picture = stylize(
        photo,
        list(paintings) or (style.name if style.name in zoo.styles() else style.path),
        options.recipe or "default",
        masks=options.masks,
        style_weights=options.style_weights or None,
        **vars(config),
    )
    deliver(picture, output, options.quality)
    return 0
