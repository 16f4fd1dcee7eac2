"""`tfstyle stylize` with a SavedModel: from TensorFlow Hub or a folder."""

from tfstyle.cli import flags, output
from tfstyle.cli.quiet import load_tensorflow
from tfstyle.painting.doors import stylize
from tfstyle.pictures import fitted, read_image


def run(options, content, style, config):
    """Paint a photograph; return the exit code.

    Args:
        options: `tfstyle.cli.stylize.Stylize`.
        content: Path of the photograph.
        style: Paths of paintings, for a SavedModel that takes one.
        config: `HubConfig`.
    """
    inputs = (content, *style)
    flags.check_quality(options.quality)
    output.check(options.output, inputs=inputs)
    content = read_image(content)
    output.check(options.output, size=fitted(content.rgb.shape, config.size))
    style = [read_image(path) for path in style]
    load_tensorflow()
    picture = stylize(
        content,
        style or None,
        model=options.model,
        style_weights=options.style_weights or None,
        **vars(config),
    )
    output.deliver(picture, options.output, options.quality)
    return 0
