"""`tfstyle video`: paint a film with a trained style."""

import dataclasses
import sys
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from tfstyle.cli import flags
from tfstyle.cli.quiet import load_tensorflow
from tfstyle.config import PaintConfig
from tfstyle.progress import Line, clock


@dataclass(frozen=True, kw_only=True)
class Video:
    """Paint a film in a trained style or that of a painting. Ctrl-C ends it early and keeps what is
    painted."""

    words: tyro.conf.Positional[tuple[str, ...]]
    """The film, in any format that FFmpeg reads, or a GIF; and the style: name of a trained one
    (`tfstyle styles` lists them), path of a network, .keras, or a painting."""
    output: Annotated[Path, tyro.conf.arg(aliases=("-o",))]
    """Film to write: .mp4, .mov, .mkv, .m4v or .gif."""
    style: str | None = None
    """The style, in any of these forms."""
    steady: float = 0.8
    """From 0, each frame on its own, to 1: how much of what flickers is held back."""
    style_weights: tuple[float, ...] = ()
    """A weight for each style of a network of several."""
    settings: PaintConfig
    """How to paint."""


def parse(arguments):
    """Return `Video` from `arguments`, with the film alone in its `words`."""
    options = flags.parse(Video, "tfstyle video", arguments, words="words")
    words, style = flags.trained_style(options.words, options.style)
    if style is None and len(words) == 2:
        style = words.pop()
    if style is None or len(words) != 1:
        raise ValueError(
            "Name a film, and a trained style or a painting. "
            f"Received: {' '.join(options.words) or 'nothing'}."
        )
    return dataclasses.replace(options, words=words, style=style)


def run(arguments):
    """Paint as `arguments` say; return the exit code: 1 if the film ends early."""
    options = parse(arguments)
    load_tensorflow()
    from tfstyle.optimize.callbacks import caught_signals
    from tfstyle.painting.films import EndsEarly, stylize_video

    begun, interrupted, line = None, 0, Line()

    def interrupt(number):
        nonlocal interrupted
        interrupted = number

    def on_frame(done, total):
        nonlocal begun
        begun = begun or time.monotonic()  # the first frame is compiled
        if line.due() or done == total:
            speed = (done - 1) / max(time.monotonic() - begun, 1e-9)
            left = clock((total - done) / speed) if done > 1 else "?"
            line.show(f"frame {done}/{total}  {speed:.1f} frames/s  {left} left")
        return interrupted

    try:
        with caught_signals(interrupt), warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always", UserWarning)
            frames = stylize_video(
                *options.words,
                options.style,
                options.output,
                options.settings,
                steady=options.steady,
                style_weights=options.style_weights or None,
                on_frame=on_frame,
            )
    finally:
        line.end()
    print(options.output)
    for warning in said:
        print(f"tfstyle video: {warning.message}", file=sys.stderr)
    if interrupted:
        print(f"stopped early; the film has its first {frames} frames", file=sys.stderr)
        return 128 + interrupted
    return 1 if any(issubclass(warning.category, EndsEarly) for warning in said) else 0
