"""FFmpeg as a process of its own: what a film holds, its frames, and frames to a film."""

import contextlib
import itertools
import os
import re
import subprocess
import tempfile
from fractions import Fraction

import numpy as np
from PIL import Image

COPIED_SOUND = ("aac", "ac3", "alac")  # what all these files hold as it is
TEXT = ("subrip", "srt", "ass", "ssa", "mov_text", "webvtt", "text")  # subtitles that are text
# H.264 wants even sides; players take HD films without a tag for BT.709, FFmpeg writes BT.601.
EVEN_BT709 = (
    "scale=ceil(iw/2)*2:ceil(ih/2)*2:out_color_matrix=bt709:out_range=tv,"
    "setparams=colorspace=bt709:color_primaries=bt709:color_trc=bt709"
)
SQUARE = "scale=iw*sar:ih,setsar=1"  # pixels
HDR = ("smpte2084", "arib-std-b67")  # PQ and HLG
WIDE = ("bt2020", "smpte431", "smpte432")  # primaries
# White of HDR, 203 cd/m², is that of SDR; what is brighter is bent into what little is left above.
TO_SDR = "tonemap=mobius:param=0.8:peak=5:desat=0,"
ALPHA = r"yuva|rgba|bgra|argb|abgr|gbrap|ya\d|pal8"
TRANSPARENT = {"vp8": "libvpx", "vp9": "libvpx-vp9"}  # who alone decodes their alpha


class Film:
    """A film that FFmpeg reads.

    Args:
        path: Its path.
        fps_limit: Most frames a second to read. Default: all.

    Attributes:
        fps: Frames read a second.
        total: How many it should have.
        sound: Codec of each sound track.
        subtitles: Codec of each track of subtitles.
        fault: Why it ended early; None if it did not. Known when the last frame is read.

    Raises:
        ValueError: If FFmpeg finds no film there.
        ImportError: If imageio-ffmpeg is missing.
    """

    durations, loop = None, 0  # of a GIF that is made of it

    def __init__(self, path, fps_limit=None):
        self.path, self.fault = path, None
        header = _header(path)
        self.sound, self.subtitles = (
            re.findall(rf"^ *Stream #\S+ {kind}: (\w+)", header, re.M)
            for kind in ("Audio", "Subtitle")
        )
        videos = re.findall(r"^ *Stream #\S+ Video: (.*)", header, re.M)
        video = next((text for text in videos if "(attached pic)" not in text), "")
        pattern = r"(\w+).*?, (\w+)(?:\((.*?)\))?, (\d+)x(\d+)"
        picture = re.match(pattern, video)
        if not picture:
            raise ValueError(f"'{path}' is no film that FFmpeg can read.")
        codec, pixels, details, width, height = picture.groups()
        hidden = codec in TRANSPARENT and re.search(r"alpha_mode *: 1", header)
        self._decoder = ["-c:v", TRANSPARENT[codec]] if hidden else []
        self._alpha = bool(hidden or re.match(ALPHA, pixels))
        self._color = _to_bt709(
            pixels, _color_tags(details or ""), int(width) >= 1280 or int(height) > 576, self._alpha
        )
        rate = re.search(r"([\d.]+)(k?) fps", video)
        fps = exact_fps(float(rate[1]) * (1000 if rate[2] else 1)) if rate else 25.0
        self.total, seconds, end = measure(path)
        if fps > 120 and seconds:  # of a browser's recordings it is that of their clock
            fps = min(fps, self.total / seconds)
        self.fps = min(fps, fps_limit or fps)
        if abs(self.total - seconds * self.fps) > 2:
            self.total = max(1, round(seconds * self.fps))
        length = re.search(r"Duration: (\d+):(\d+):([\d.]+)", header)
        if length:
            hours, minutes, rest = map(float, length.groups())
            whole = 3600 * hours + 60 * minutes + rest
            if end < whole - max(0.5, 0.01 * whole):
                self.fault = f"it holds {end:.1f} of its {whole:.1f} s"
        self.fault = self.fault or _cut_avi(path)  # whose length FFmpeg takes from what is there

    def frames(self):
        """Yield the frames, uint8 arrays `(height, width, 3)`, of which no two differ in size."""
        # At a rate of its own a film whose frames last unequally would end out of time.
        filters = f"{self._color}fps={self.fps!r},{SQUARE}"
        pixels = "rgba" if self._alpha else "rgb24"
        with _running(
            *(*self._decoder, "-i", _local(self.path), "-map", "0:V:0", "-vf", filters),
            *("-pix_fmt", pixels, "-c:v", "pam", "-f", "image2pipe", "pipe:1"),
            stdout=subprocess.PIPE,
        ) as (process, failure):
            count = 0
            while (frame := _next_frame(process.stdout)) is not None:
                yield frame
                count += 1
            reason = failure()
        if not count:
            raise ValueError(f"'{self.path}' is no film that FFmpeg can read: {reason or 'empty'}.")
        if reason:
            self.fault = reason
        elif count < self.total - max(2, self.total // 50):
            self.fault = self.fault or f"{count} of its {self.total} frames can be read"


def write(path, pictures, fps, tracks=None):
    """Write a film; return its number of frames.

    Args:
        path: Path, whose suffix says which kind.
        pictures: Iterator of uint8 arrays `(height, width, 3)` of one size, at least one.
        fps: Frames a second.
        tracks: `Film` whose sound and subtitles go with them.

    Raises:
        OSError: If FFmpeg cannot write it.
    """
    first = next(pictures)
    height, width = first.shape[:2]
    arguments = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}"]
    arguments += ["-r", str(Fraction(fps).limit_denominator()), "-i", "pipe:0"]
    arguments += ["-i", _local(tracks.path)] if tracks else []
    arguments += ["-map", "0:v", "-c:v", "libx264", "-crf", "18", "-pix_fmt", "yuv420p"]
    arguments += ["-vf", EVEN_BT709, *(_kept(tracks, path.suffix) if tracks else [])]
    count = 0
    with _running(*arguments, "-y", _local(path), stdin=subprocess.PIPE) as (process, failure):
        with contextlib.suppress(BrokenPipeError), process.stdin as pipe:  # `failure` tells why
            for picture in itertools.chain([first], pictures):
                pipe.write(np.ascontiguousarray(picture))
                count += 1
        reason = failure()
    if reason:
        raise OSError(f"FFmpeg could not write a {path.suffix} film: {reason}.")
    return count


def subtitle_codec(codec, suffix):
    """Return what a film of this suffix holds such subtitles as; None if it cannot."""
    if suffix == ".mkv":
        return "srt" if codec == "mov_text" else "copy"
    return "mov_text" if codec in TEXT else None


def cut(path, target, seconds):
    """Copy the first seconds of a film."""
    arguments = ["-i", _local(path), "-map", "0", "-c", "copy", "-t", f"{seconds:.6f}"]
    with _running(*arguments, "-y", _local(target)) as (_, failure):
        reason = failure()
    if reason:
        raise OSError(f"FFmpeg could not cut the sound to {seconds:.2f} s: {reason}.")


def check_whole(path, count):
    """Check that a film was written whole.

    Raises:
        OSError: If it does not hold this many frames: the disk may be full.
    """
    found, _, _ = measure(path)
    if found != count:
        raise OSError(
            f"FFmpeg could not write a {path.suffix} film: it holds {found} of {count} frames. "
            "Is the disk full?"
        )


def measure(path):
    """Return the number of a film's frames, their seconds, and when all that is there ends."""
    scale, begin, end, count = {}, {}, {}, 0
    streams = ("-map", "0:V:0", "-map", "0:a?", "-map", "0:s?")
    with _running(
        *("-i", _local(path), *streams, "-c", "copy", "-f", "framecrc", "pipe:1"),
        stdout=subprocess.PIPE,
    ) as (process, _):
        for line in process.stdout:
            if unit := re.match(rb"#tb (\d+): (\d+)/(\d+)", line):
                stream, *ratio = map(int, unit.groups())
                scale[stream] = Fraction(*ratio)
            elif packet := re.match(rb"(\d+), *(-?\d+), *(-?\d+), *(\d+),", line):
                stream, decoded, shown, duration = map(int, packet.groups())
                shown = shown if shown > -(2**63) else decoded  # AVI does not say when
                count += stream == 0
                begin[stream] = min(shown, begin.get(stream, shown))
                end[stream] = max(shown + duration, end.get(stream, shown))
    seconds = (end.get(0, 0) - begin.get(0, 0)) * scale.get(0, 0)
    last = max((end[stream] * scale[stream] for stream in end), default=0)
    first = min((begin[stream] * scale[stream] for stream in begin), default=0)
    return count, float(seconds), float(last - first)


def exact_fps(fps):
    """Return a rate that FFmpeg prints with two digits: 24000/1001 for 23.98."""
    ntsc = round(fps) * 1000 / 1001
    return ntsc if fps % 1 and abs(fps - ntsc) < 0.0051 else fps


def executable():
    """Return the path of FFmpeg.

    Raises:
        ImportError: If imageio-ffmpeg, which brings it, is missing.
    """
    try:
        import imageio_ffmpeg
    except ImportError as error:
        raise ImportError(
            "Films need imageio-ffmpeg: pip install 'tfstyle[video]'. GIFs go without."
        ) from error
    return imageio_ffmpeg.get_ffmpeg_exe()


def _local(path):
    """Name a file so that FFmpeg sees no option and no address in it."""
    return f"file:{path}"


def _cut_avi(path):
    """Say how much of an AVI is there, if not all is that its header announces; else None."""
    with open(path, "rb") as file:
        head, held = file.read(12), os.fstat(file.fileno()).st_size
    if head[:4] != b"RIFF" or head[8:] != b"AVI ":
        return None
    announced = int.from_bytes(head[4:8], "little") + 8
    return f"it holds {held} of its {announced} bytes" if held < announced else None


def _header(path):
    """Return what FFmpeg says of a film."""
    command = [executable(), "-hide_banner", "-nostdin", "-i", _local(path)]
    run = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, check=False)
    return run.stderr.decode(errors="replace")


def _color_tags(details):
    """Return matrix, primaries and transfer of what FFmpeg prints: "tv, bt709, progressive"."""
    for item in details.split(", "):
        if "/" in item:
            return item.split("/")
        if re.match(r"bt|smpte|fcc", item):
            return [item] * 3
    return ["unknown"] * 3


def _to_bt709(pixels, tags, is_hd, alpha):
    """Return the filters that bring a film's colors to BT.709, each with a comma at its end."""
    matrix, primaries, transfer = tags
    yuv = re.match(r"yuv|nv|p[02]", pixels)
    default = "bt2020nc" if transfer in HDR else "bt709"
    known = ""
    if yuv and matrix == "unknown" and (is_hd or transfer in HDR):
        known = f"setparams=colorspace={default},"  # as players take it
    if transfer not in HDR and primaries not in WIDE:
        return known
    tone, curve, light = TO_SDR, transfer, "npl=203:"
    if transfer not in HDR:
        tone, curve, light = "", "bt709", ""
    primaries = "bt2020" if primaries == "unknown" else primaries
    floats = "gbrapf32le" if alpha else "gbrpf32le"
    return (
        f"{known}zscale={light}tin={curve}:pin={primaries}:t=linear,format={floats},"
        f"zscale=p=bt709,{tone}zscale=t=bt709,"
    )


def _kept(film, suffix):
    """Return FFmpeg's arguments for a film's sound and those of its subtitles that fit."""
    arguments = ["-map", "1:a?"]
    for place, codec in enumerate(film.sound):
        arguments += [f"-c:a:{place}", "copy" if codec in COPIED_SOUND else "aac"]
    codecs = [subtitle_codec(codec, suffix) for codec in film.subtitles]
    kept = [(place, codec) for place, codec in enumerate(codecs) if codec]
    for number, (place, codec) in enumerate(kept):
        arguments += ["-map", f"1:s:{place}", f"-c:s:{number}", codec]
    return arguments


def _next_frame(pipe):
    """Read a picture in PAM, and lay it on white; None at the end, or where it is cut short."""
    facts = {}
    while (line := pipe.readline()) and line != b"ENDHDR\n":
        name, _, value = line.partition(b" ")
        facts[name] = value
    if not line:
        return None
    shape = [int(facts[name]) for name in (b"HEIGHT", b"WIDTH", b"DEPTH")]
    data = pipe.read(int(np.prod(shape)))
    if len(data) < np.prod(shape):
        return None
    frame = np.frombuffer(data, np.uint8).reshape(shape)
    return on_white(Image.fromarray(frame)) if shape[-1] == 4 else frame


def on_white(image):
    """Lay a PIL image with alpha on white, as an array `(height, width, 3)`."""
    canvas = Image.new("RGBA", image.size, "white")
    return np.asarray(Image.alpha_composite(canvas, image).convert("RGB"))


@contextlib.contextmanager
def _running(*arguments, **pipes):
    """Run FFmpeg; it does not outlive the block, and Ctrl-C does not reach it.

    Yields:
        The process; and a function that waits for its end and returns what went wrong, or "".
    """
    command = [executable(), "-hide_banner", "-nostdin", "-v", "error", *map(str, arguments)]
    options = {"stdin": subprocess.DEVNULL} | pipes
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(
            command,
            stderr=errors,
            start_new_session=True,
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
            **options,
        ) as process,
    ):

        def failure():
            status = process.wait()
            if status == 0:
                return ""
            errors.seek(0)
            first = errors.readline().decode(errors="replace").strip()
            said = re.sub(r"^(\[.*?\] )*", "", first).rstrip(".")
            return f"FFmpeg ended with status {status}" + (f" ({said})" if said else "")

        try:
            yield process, failure
        finally:
            process.kill()
