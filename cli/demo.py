"""`tfstyle demo`: paint the picture that ships with tfstyle."""

from importlib.resources import as_file, files

from tfstyle.cli import stylize


def run(arguments):
    """Paint the shipped photograph; `arguments` are those of `tfstyle stylize` after the files."""
    pictures = files("tfstyle") / "pictures"
    with as_file(pictures / "lake.jpg") as photo, as_file(pictures / "brushwork.jpg") as painting:
        return stylize.run([str(photo), str(painting), *arguments])
