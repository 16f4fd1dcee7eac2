"""Films: frame by frame through a trained network, with its sound, and calm where nothing moves."""

from __future__ import annotations

import contextlib
import itertools
import os
import struct
import warnings
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image, ImageSequence

from tfstyle.config import PaintConfig
from tfstyle.painting import zoo
from tfstyle.painting.instant import style_for
from tfstyle.painting.sizes import TOGETHER, paint_after, paint_batch
from tfstyle.pictures import (
    PictureLike,
    as_list_of_pictures,
    check_output_path,
    colors,
    encode_gif,
    ffmpeg,
    resize,
    to_pil,
)
from tfstyle.pictures.files import local, refuse_special, temporary_beside, writing

SUFFIXES = (".mp4", ".mov", ".mkv", ".m4v", ".gif")
GIF_FPS = 50  # a GIF's frames last whole hundredths of a second, and browsers slow down one
STILL = 0.03  # difference of pixels in [0, 1] that counts as standing still
CUT = 0.25  # mean difference of frames that counts as a new scene


def stylize_video(
    source: str | os.PathLike,
    style: PictureLike,
    output: str | os.PathLike,
    config: PaintConfig | None = None,
    *,
    steady: float = 0.8,
    style_weights: Sequence[float] | None = None,
    on_frame: Callable[[int, int | None], bool | None] | None = None,
) -> int:
    """Paint a film.

    Frames are read, painted and written one after the other, so that a film of any length takes
    the memory of a few, and a GIF that is written that of its frames in 256 colors. Sound, frame
    rate and length stay; a film turned by its metadata is painted upright, and one whose pixels
    are not square in its proportions. The output appears when it is whole, or when `on_frame`
    stops it. What is transparent is laid on white, and HDR brought to SDR. All sound tracks are
    kept, and subtitles where the file can hold them.

    Args:
        source: Path of a film that FFmpeg reads, or of a GIF.
        style: Name of a trained style or path of a network, as for `tfstyle.stylize`; or a
            painting, or a list of them, for the network of any style.
        output: Path ending in one of `SUFFIXES`.
        config: `PaintConfig`.
        steady: From 0, each frame on its own, to 1: how much of what flickers is held back. The
            network's statistics move slowly from frame to frame, and where the film stands still
            the painting does.
        style_weights: A weight for each style of a network of several, or for each painting.
        on_frame: Function of the number of frames done and their total; what it returns, if true,
            stops the work and keeps the film so far.

    Returns:
        Number of frames written.

    Warns:
        EndsEarly: If the film is cut short; what there is of it is painted.
        UserWarning: If sound or subtitles are left out.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If a film cannot be read or a value cannot be used.
        OSError: If the film cannot be written, such as on a full disk.
        ImportError: If imageio-ffmpeg is missing (`pip install 'tfstyle[video]'`).

    Example:

    ```python
    tfstyle.stylize_video("film.mp4", "wave", "painted.mp4", tfstyle.config.PaintConfig(size=640))
    ```
    """
    output = check_output_path(output, SUFFIXES, inputs=[source, *as_list_of_pictures(style)])
    source, config = local(source), config or PaintConfig()
    if not source.exists():
        raise FileNotFoundError(f"There is no film '{source}'.")
    refuse_special(source)
    if not 0 <= steady <= 1:
        raise ValueError(f"`steady` must lie between 0 and 1. Received: steady={steady}.")
    style = style_for(style)
    to_gif = output.suffix.lower() == ".gif"
    film: _Gif | ffmpeg.Film
    if source.suffix.lower() == ".gif":
        film = _Gif(source)
    else:
        film = ffmpeg.Film(source, GIF_FPS if to_gif else None)
    if not to_gif:
        ffmpeg.executable()  # if it is missing, that is said before anything is loaded
    _name_left_out(film, output)
    count, stopped = 0, False

    def painted(frames):
        nonlocal count, stopped
        for picture in painter.paint_all(frames):
            yield np.asarray(to_pil(picture))
            count += 1
            if on_frame and on_frame(count, film.total):
                stopped = True
                return

    with writing(output) as temporary:
        with contextlib.closing(film.frames()) as frames:
            first = next(frames)  # a film that cannot be read is told before anything is loaded
            network = zoo.load(style.path)
            painter = Painter(network, config, steady, style.point(network, style_weights))
            pictures = painted(itertools.chain([first], frames))
            if to_gif:
                _write_gif(temporary, pictures, film)
            else:
                ffmpeg.write(temporary, pictures, film.fps, None if film.durations else film)
        if not to_gif:
            if (stopped or film.fault) and film.sound:
                _cut_sound(temporary, count / film.fps)
            ffmpeg.check_whole(temporary, count)
    if film.fault and not stopped:
        warnings.warn(
            f"'{source}' ends early: {film.fault}. Its first {count} frames are painted.",
            EndsEarly,
            stacklevel=2,
        )
    return count


class EndsEarly(UserWarning):
    """A film was cut short, or could not be read to its end."""


class Painter:
    """Paint the frames of a film, one after the other.

    Args:
        network: `Generator`.
        config: `PaintConfig`.
        steady: See `stylize_video`.
        style_weights: A point of style, as `Generator.point` takes it.
    """

    def __init__(self, network, config=None, steady=0.8, style_weights=None):
        self.network, self.config, self.steady = network, config or PaintConfig(), steady
        self.style_weights = network.point(style_weights)
        self._frame = self._picture = self._moments = None

    def __call__(self, frame):
        """Paint a frame, a float32 array `(height, width, 3)` in [0, 1]."""
        if not self.steady:
            return self._alone([frame])[0]
        frame = self._sized(frame)
        change = None
        if self._frame is not None and self._frame.shape == frame.shape:
            change = np.abs(frame - self._frame).mean(-1, keepdims=True)
        if change is None or change.mean() > CUT:
            change = self._moments = None
        picture, self._moments = paint_after(
            self.network, frame, self.config, self.style_weights, self._moments, self.steady
        )
        if change is not None:
            held = self.steady * np.exp(-((_blurred(change) / STILL) ** 2))
            picture = picture + held * (self._picture - picture)
        self._frame, self._picture = frame, picture
        return self._colored(picture, frame)

    def paint_all(self, frames):
        """Yield the frames of an iterator, uint8 arrays, painted; in batches, unless steadied."""
        for first in frames:
            more = 0 if self.steady else max(0, TOGETHER // first[..., 0].size - 1)
            batch = [np.float32(frame) / 255 for frame in (first, *itertools.islice(frames, more))]
            yield from map(self, batch) if self.steady else self._alone(batch)

    def _alone(self, frames):
        """Paint frames of one size, none of which hangs on another."""
        frames = [self._sized(frame) for frame in frames]
        pictures = paint_batch(self.network, frames, self.config, style_weights=self.style_weights)
        return [self._colored(*pair) for pair in zip(pictures, frames, strict=True)]

    def _sized(self, frame):
        return resize(frame, self.config.size or max(frame.shape[:2]))

    def _colored(self, picture, frame):
        return colors.keep_colors(picture, frame) if self.config.color == "content" else picture


def _blurred(change, radius=3):
    """Return the mean of `change` over a square of each pixel's neighbors."""
    size = 2 * radius + 1
    total = np.pad(change[..., 0], radius, "edge")
    for axis in (0, 1):
        total = np.lib.stride_tricks.sliding_window_view(total, size, axis).mean(-1)
    return total[..., None].astype(np.float32)


class _Gif:
    """A GIF: frames, how long each is shown, and how often all are; the rest as `ffmpeg.Film`."""

    sound = subtitles = ()

    def __init__(self, path):
        self.path, self.fault, self.loop = path, None, None
        self.durations = [frame.info.get("duration") or 100 for frame in self._images()]
        self.total = len(self.durations)
        self.fps = 1000 * self.total / sum(self.durations)

    def frames(self):
        """Yield the frames, uint8 arrays `(height, width, 3)`."""
        yield from map(ffmpeg.on_white, self._images())

    def _images(self):
        count = 0
        try:
            with Image.open(self.path, formats=["GIF"]) as gif:
                self.loop = gif.info.get("loop")
                for frame in ImageSequence.Iterator(gif):
                    yield frame.convert("RGBA")
                    count += 1
        except (OSError, SyntaxError, ValueError, IndexError, struct.error) as error:
            if not count:
                raise ValueError(
                    f"'{self.path}' is no GIF that can be read, or cut short."
                ) from error
            self.fault = "the GIF is cut short"


def _name_left_out(film, output):
    """Warn of sound and subtitles that do not fit into the film to write."""
    suffix = output.suffix.lower()
    if suffix == ".gif":
        if film.sound or film.subtitles:
            text = "A .gif film cannot hold the film's sound and subtitles, which are left out."
            warnings.warn(text, stacklevel=3)
        return
    left_out = [codec for codec in film.subtitles if not ffmpeg.subtitle_codec(codec, suffix)]
    if left_out:
        warnings.warn(
            f"A {suffix} film cannot hold subtitles of the kind {', '.join(left_out)}, which are "
            "left out; an .mkv can.",
            stacklevel=3,
        )


def _cut_sound(path, seconds):
    """End the sound of a film where its frames end."""
    with temporary_beside(path) as cut:
        ffmpeg.cut(path, cut, seconds)
        os.replace(cut, path)


def _write_gif(path, pictures, film):
    # One palette for all frames would do harm; without dithering still areas stay still.
    images = (
        Image.fromarray(picture).quantize(256, dither=Image.Dither.NONE) for picture in pictures
    )
    path.write_bytes(encode_gif(images, _gif_durations(film), film.loop))


def _gif_durations(film):
    """Yield milliseconds for each frame, in tens, that do not add up to a drift."""
    if film.durations:
        yield from film.durations
        return
    for number in itertools.count():
        begin, end = (round(100 * count / film.fps) for count in (number, number + 1))
        yield 10 * (end - begin)
