"""Films: frame by frame through a trained network, with its sound, and calm where nothing moves."""

import contextlib
import itertools
import os
import struct
import subprocess
import uuid
from pathlib import Path

import numpy as np
from PIL import Image, ImageSequence

from tfstyle.config import PaintConfig
from tfstyle.painting import zoo
from tfstyle.painting.instant import style_for
from tfstyle.painting.sizes import TOGETHER, paint, paint_batch, picture_moments
from tfstyle.pictures import check_output_path, colors, resize, to_pil

SUFFIXES = (".mp4", ".mov", ".mkv", ".m4v", ".gif")
COPIED_SOUND = ("aac", "ac3", "alac")  # what all these files hold as it is
GIF_FPS = 50  # a GIF's frames last whole hundredths of a second, and browsers slow down one
# H.264 wants even sides; players take HD films without a tag for BT.709, FFmpeg writes BT.601.
EVEN_BT709 = (
    "scale=ceil(iw/2)*2:ceil(ih/2)*2:out_color_matrix=bt709:out_range=tv,"
    "setparams=colorspace=bt709:color_primaries=bt709:color_trc=bt709"
)
SQUARE = "scale=iw*sar:ih,setsar=1"  # pixels
STILL = 0.03  # difference of pixels in [0, 1] that counts as standing still
CUT = 0.25  # mean difference of frames that counts as a new scene


def stylize_video(
    source, style, output, config=None, *, steady=0.8, style_weights=None, on_frame=None
):
    """Paint a film.

    Frames are read, painted and written one after the other, so that a film of any length takes
    the memory of a few, and a GIF that is written that of its frames in 256 colors. Sound, frame
    rate and length stay; a film turned by its metadata is painted upright, and one whose pixels
    are not square in its proportions. The output appears when it is whole, or when `on_frame`
    stops it.

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

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If a film cannot be read or a value cannot be used.
        ImportError: If imageio-ffmpeg is missing (`pip install 'tfstyle[video]'`).
    """
    check_output_path(output, SUFFIXES)
    source, output, config = Path(source), Path(output), config or PaintConfig()
    if not source.is_file():
        raise FileNotFoundError(f"There is no film '{source}'.")
    if output.exists() and output.samefile(source):
        raise ValueError(f"`output` must be another file than the film. Received: '{output}'.")
    if not 0 <= steady <= 1:
        raise ValueError(f"`steady` must lie between 0 and 1. Received: steady={steady}.")
    style = style_for(style)
    to_gif = output.suffix.lower() == ".gif"
    if source.suffix.lower() == ".gif":
        film = _open_gif(source)
    else:
        film = _open_film(source, GIF_FPS if to_gif else None)
    if not to_gif:
        _ffmpeg()  # if it is missing, that is said before anything is loaded
    network = zoo.load(style.path)
    painter = Painter(network, config, steady, style.point(network, style_weights))
    count, stopped = 0, False

    def painted():
        nonlocal count, stopped
        for picture in painter.paint_all(film.frames):
            yield np.asarray(to_pil(picture))
            count += 1
            if on_frame and on_frame(count, film.total):
                stopped = True
                return

    temporary = output.with_name(f".{uuid.uuid4().hex}{output.suffix}")
    write = _write_gif if to_gif else _write_film
    try:
        with contextlib.closing(film.frames):
            write(temporary, painted(), film, source)
        if stopped and film.sound and not to_gif:
            _cut_sound(temporary, count / film.fps)
        os.replace(temporary, output)
    finally:
        temporary.unlink(missing_ok=True)
    return count


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
        self._moments = self._moved_moments(frame)
        picture = paint(
            self.network,
            frame,
            self.config,
            style_weights=self.style_weights,
            moments=self._moments,
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

    def _moved_moments(self, frame):
        """Return the network's statistics of a frame, moved on slowly from those before."""
        found = picture_moments(self.network, frame, self.config, self.style_weights)
        if self._moments is None:
            return found
        return [
            tuple(new + self.steady * (old - new) for old, new in zip(*pair, strict=True))
            for pair in zip(self._moments, found, strict=True)
        ]

    def _colored(self, picture, frame):
        return colors.keep_colors(picture, frame) if self.config.color == "content" else picture


def _blurred(change, radius=3):
    """Return the mean of `change` over a square of each pixel's neighbors."""
    size = 2 * radius + 1
    total = np.pad(change[..., 0], radius, "edge")
    for axis in (0, 1):
        total = np.lib.stride_tricks.sliding_window_view(total, size, axis).mean(-1)
    return total[..., None].astype(np.float32)


class _Film:
    """Frames as uint8 arrays `(height, width, 3)`, how many, and how long each is shown."""

    def __init__(self, frames, total, *, fps=None, durations=None, sound=None):
        self.frames, self.total, self.sound = frames, total, sound
        self.durations = durations  # of a GIF, in milliseconds
        self.fps = fps or 1000 * len(durations) / max(1, sum(durations))


def _open_film(path, fps_limit=None):
    ffmpeg = _ffmpeg()
    try:
        with contextlib.closing(ffmpeg.read_frames(str(path))) as frames:
            fps = _exact_fps(next(frames)["fps"] or 25.0)
        fps = min(fps, fps_limit or fps)
        # At a rate of its own a film whose frames last unequally would end out of time.
        frames = ffmpeg.read_frames(str(path), output_params=["-vf", f"fps={fps!r},{SQUARE}"])
        meta = next(frames)
        total, seconds = ffmpeg.count_frames_and_secs(str(path))
        if abs(total - seconds * fps) > 2:
            total = max(1, round(seconds * fps))
    except (OSError, RuntimeError, StopIteration) as error:
        raise ValueError(f"'{path}' is no film that FFmpeg can read.") from error
    width, height = meta["size"]

    def arrays():
        with contextlib.closing(frames):
            for frame in frames:
                yield np.frombuffer(frame, np.uint8).reshape(height, width, 3)

    return _Film(arrays(), total, fps=fps, sound=meta.get("audio_codec"))


def _exact_fps(fps):
    """Return a rate that FFmpeg prints with two digits: 24000/1001 for 23.98."""
    ntsc = round(fps) * 1000 / 1001
    return ntsc if fps % 1 and abs(fps - ntsc) < 0.0051 else fps


def _open_gif(path):
    def frames():
        try:
            with Image.open(path, formats=["GIF"]) as gif:
                for frame in ImageSequence.Iterator(gif):
                    yield frame.convert("RGBA")
        except (OSError, SyntaxError, ValueError, IndexError, struct.error) as error:
            raise ValueError(f"'{path}' is no GIF that can be read, or cut short.") from error

    def arrays():
        for frame in frames():
            canvas = Image.new("RGBA", frame.size, "white")
            yield np.asarray(Image.alpha_composite(canvas, frame).convert("RGB"))

    durations = [frame.info.get("duration") or 100 for frame in frames()]
    return _Film(arrays(), len(durations), durations=durations)


def _write_film(path, pictures, film, source):
    ffmpeg = _ffmpeg()
    first = next(pictures, None)
    if first is None:
        raise ValueError(f"'{source}' has no frames.")
    sound = {}
    if film.sound:
        copied = film.sound.lower().startswith(COPIED_SOUND)
        sound = {"audio_path": str(source), "audio_codec": "copy" if copied else "aac"}
    writer = ffmpeg.write_frames(
        str(path),
        first.shape[1::-1],
        fps=film.fps,
        codec="libx264",
        macro_block_size=1,
        quality=None,
        ffmpeg_log_level="error",
        output_params=["-crf", "18", "-vf", EVEN_BT709],
        **sound,
    )
    writer.send(None)
    with contextlib.closing(writer):
        for picture in itertools.chain([first], pictures):
            writer.send(np.ascontiguousarray(picture))
    if not path.is_file() or not path.stat().st_size:
        raise OSError(f"FFmpeg could not write a {path.suffix} file of '{source}'.")


def _cut_sound(path, seconds):
    """End the sound of a film where its frames end."""
    whole = path.with_name(f"{path.stem}_{path.suffix}")
    os.replace(path, whole)
    command = [_ffmpeg().get_ffmpeg_exe(), "-v", "error", "-i", whole]
    command += ["-map", "0", "-c", "copy", "-t", f"{seconds:.6f}", path]
    try:
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    except subprocess.CalledProcessError as error:
        raise OSError(f"FFmpeg could not cut the sound to {seconds:.2f} s.") from error
    finally:
        whole.unlink()


def _write_gif(path, pictures, film, source):
    def quantized():
        for picture, duration in zip(pictures, _gif_durations(film), strict=False):
            # One palette for all frames would do harm; without dithering still areas stay still.
            image = Image.fromarray(picture).quantize(256, dither=Image.Dither.NONE)
            image.info["duration"] = duration
            yield image

    images = quantized()
    first = next(images, None)
    if first is None:
        raise ValueError(f"'{source}' has no frames.")
    first.save(path, save_all=True, append_images=images, loop=0)


def _gif_durations(film):
    """Yield milliseconds for each frame, in tens, that do not add up to a drift."""
    if film.durations:
        yield from film.durations
        return
    for number in itertools.count():
        begin, end = (round(100 * count / film.fps) for count in (number, number + 1))
        yield 10 * (end - begin)


def _ffmpeg():
    try:
        import imageio_ffmpeg
    except ImportError as error:
        raise ImportError(
            "Films need imageio-ffmpeg: pip install 'tfstyle[video]'. GIFs go without."
        ) from error
    return imageio_ffmpeg
