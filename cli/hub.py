"""`tfstyle stylize` with a SavedModel: from TensorFlow Hub or a folder."""

from tfstyle.cli import flags
from tfstyle.cli.quiet import load_tensorflow
from tfstyle.painting.doors import stylize
from tfstyle.pictures import check_output_path, read_image, save_image


def run(options, content, style, config):
    """Paint a photograph; return the exit code.

    Args:
        options: `tfstyle.cli.stylize.Stylize`.
        content: Path of the photograph.
        style: Paths of paintings, for a SavedModel that takes one.
        config: `HubConfig`.
    """
    check_output_path(options.output)
    flags.check_quality(options.quality)
    content = read_image(content)
    style = [read_image(path) for path in style]
    load_tensorflow()
    picture = stylize(
        content,
        style or None,
        model=options.model,
        style_weights=options.style_weights or None,
        **vars(config),
    )
    save_image(picture, options.output, quality=options.quality)
    print(options.output)
    return 0
