"""Where a painted picture goes: to a file, or with `-o -` to stdout, as PNG."""

import sys
from pathlib import Path

from tfstyle.pictures import check_output_path, encode, save_or_rescue

STDOUT = Path("-")


def check(output, **options):
    """Check an output as `check_output_path` does; stdout takes anything."""
    if output != STDOUT:
        check_output_path(output, **options)


def deliver(picture, output, quality=95):
    """Write a picture to a file and print its path; or write it to stdout."""
    if output == STDOUT:
        sys.stdout.buffer.write(encode(picture, ".png"))
        sys.stdout.flush()
        return
    save_or_rescue(picture, output, quality=quality)
    print(output, flush=True)
