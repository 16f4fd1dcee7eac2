"""`tfstyle demo`: paint the photograph that ships with tfstyle."""

from importlib.resources import as_file, files

from tfstyle.cli import stylize


def run(arguments):
    """Paint the shipped photograph, in a trained style or, with `--optimize`, as the shipped
    painting; further arguments are those of `tfstyle stylize` after the files."""
    pictures = files("tfstyle") / "pictures"
    with as_file(pictures / "lake.jpg") as photo, as_file(pictures / "brushwork.jpg") as painting:
        if "--optimize" in arguments:
            arguments = [argument for argument in arguments if argument != "--optimize"]
            return stylize.run([str(photo), str(painting), *arguments])
        if not any(argument.split("=")[0] == "--style" for argument in arguments):
            arguments = ["--style", "starry_night", *arguments]
        return stylize.run([str(photo), *arguments])
