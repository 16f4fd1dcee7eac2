"""Films: every frame, sound, rate and length; calm where nothing moves; what goes wrong."""

import dataclasses
import functools
import itertools
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from tfstyle.config import PaintConfig
from tfstyle.painting import films as video
from tfstyle.painting import zoo
from tfstyle.painting.films import Painter, stylize_video
from tfstyle.painting.sizes import _looking, paint, paint_after, paint_batch, picture_moments
from tfstyle.pictures import ffmpeg as ffmpeg_process
from tfstyle.pictures import resize
from tfstyle.pictures.colors import keep_colors

pytestmark = pytest.mark.usefixtures("tiny_zoo")


@pytest.fixture(scope="session")
def ffmpeg():
    """Function that runs FFmpeg with arguments and returns what it says."""
    exe = pytest.importorskip("imageio_ffmpeg").get_ffmpeg_exe()

    def run(*arguments):
        words = [part for argument in arguments for part in str(argument).split(" ")]
        command = [exe, "-hide_banner", "-nostdin", "-y", *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stderr

    return run


@pytest.fixture(scope="session")
def make_film(ffmpeg, tmp_path_factory):
    """Function that makes a film of a moving test picture, the same one each time."""

    @functools.cache
    def make(name="film.mp4", *, size="48x32", fps="25", seconds="0.4", sound=None, more=""):
        path = tmp_path_factory.mktemp("film") / name
        inputs = f"-f lavfi -i testsrc=size={size}:rate={fps}:duration={seconds}"
        inputs += ",hue=H=9*t"  # testsrc alone stands still for many frames
        codecs = "-c:v libx264 -pix_fmt yuv444p"
        if sound:
            inputs += f" -f lavfi -i sine=duration={seconds}"
            codecs += f" -c:a {sound}"
        ffmpeg(f"{inputs} {codecs}{more}", path)
        return path

    return make


@pytest.fixture(scope="session")
def song(ffmpeg, tmp_path_factory):
    """A file with sound and no picture."""
    path = tmp_path_factory.mktemp("song") / "song.mp4"
    ffmpeg("-f lavfi -i sine=duration=0.2", path)
    return path


@pytest.fixture
def look(ffmpeg):
    """Function that returns what FFmpeg says of a film's streams, and the frames that it has."""

    def look_at(path):
        raw = path.with_suffix(".raw")
        frames = "-map 0:v:0 -fps_mode passthrough -f rawvideo -pix_fmt rgb24"
        said = ffmpeg("-i", path, "-map 0 -f null -", frames, raw).split("Stream mapping")[0]
        streams = re.findall(r"Stream #\S+ (Video|Audio): (.*)", said)
        width, height = map(int, re.search(r" (\d+)x(\d+)[, ]", dict(streams)["Video"]).groups())
        frames = np.fromfile(raw, np.uint8).reshape(-1, height, width, 3)
        raw.unlink()
        minutes, seconds = re.search(r"Duration: 00:(\d+):([\d.]+)", said).groups()
        return dict(streams), frames, 60 * int(minutes) + float(seconds)

    return look_at


def gif_of(path):
    """Return a GIF's frames and milliseconds."""
    with Image.open(path) as gif:
        frames, durations = [], []
        for number in range(gif.n_frames):
            gif.seek(number)
            frames.append(np.asarray(gif.convert("RGB")))
            durations.append(gif.info["duration"])
    return np.stack(frames), durations


@pytest.fixture
def gif(tmp_path):
    """A GIF of five noises, shown for times of their own."""
    random = np.random.default_rng(0)
    frames = [Image.fromarray(random.integers(0, 256, (24, 33, 3), np.uint8)) for _ in range(5)]
    path = tmp_path / "noise.gif"
    durations = [40, 100, 250, 40, 70]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=durations, loop=0)
    return path


def painted(frames, style="ripple", config=None):
    """Paint each uint8 frame on its own."""
    network = zoo.load(zoo.find(style).path)
    return np.stack([paint(network, np.float32(frame) / 255, config) for frame in frames]) * 255


# Films


@pytest.mark.parametrize(
    ("fps", "stream"),
    [
        ("25", " 25 fps, .* 12800 tbn"),
        ("30000/1001", r" 29\.97 fps, .* 30k tbn"),
        ("24000/1001", r" 23\.98 fps, .* 24k tbn"),
        ("12.5", r" 12\.50 fps, "),
    ],
)
def test_stylize_video_keeps_frames_rate_and_length(make_film, look, tmp_path, fps, stream):
    source = make_film(fps=fps, seconds="0.5")
    count = stylize_video(source, "ripple", tmp_path / "out.mp4")
    streams, frames, seconds = look(tmp_path / "out.mp4")
    _, before, seconds_before = look(source)
    assert count == len(frames) == len(before)
    assert frames.shape == before.shape
    assert seconds == pytest.approx(seconds_before, abs=0.02)
    assert re.search(stream, streams["Video"])
    assert "bt709" in streams["Video"]
    assert "Audio" not in streams


def test_stylize_video_paints_each_frame(make_film, look, tmp_path):
    source = make_film(more=" -vf negate=enable=gt(t\\,0.2)")
    stylize_video(source, "ripple", tmp_path / "out.mp4", steady=0)
    _, frames, _ = look(tmp_path / "out.mp4")
    expected = painted(look(source)[1])
    assert np.abs(frames - expected).mean() < 12  # what H.264 loses of strokes a pixel wide
    assert np.abs(frames - expected[::-1]).mean() > 2 * np.abs(frames - expected).mean()


def test_stylize_video_with_no_strength_keeps_the_film(make_film, look, tmp_path):
    source = make_film(more=" -crf 5 -vf scale=out_color_matrix=bt709 -colorspace bt709")
    stylize_video(source, "ripple", tmp_path / "out.mp4", PaintConfig(strength=0), steady=0)
    frames, before = (look(path)[1].astype(int) for path in (tmp_path / "out.mp4", source))
    assert np.abs(frames.mean((1, 2)) - before.mean((1, 2))).max() < 3


@pytest.mark.parametrize(
    ("sound", "suffix"),
    [("aac", suffix) for suffix in video.SUFFIXES if suffix != ".gif"]
    + [("libmp3lame", ".mkv"), ("pcm_s16le", ".mov")],  # which could hold them as they are
)
def test_stylize_video_keeps_the_sound(make_film, look, tmp_path, sound, suffix):
    source, output = make_film("film.mkv", sound=sound), tmp_path / f"out{suffix}"
    assert stylize_video(source, "ripple", output) == 10
    streams, frames, seconds = look(output)
    assert "44100 Hz" in streams["Audio"]
    assert streams["Audio"].startswith("aac")
    assert len(frames) == 10
    assert seconds == pytest.approx(look(source)[2], abs=0.06)


def test_stylize_video_turns_a_film_upright(make_film, ffmpeg, look, tmp_path):
    lying, source = make_film(), tmp_path / "turned.mp4"
    ffmpeg("-display_rotation 90 -i", lying, "-c copy", source)
    stylize_video(source, "ripple", tmp_path / "out.mp4", PaintConfig(strength=0), steady=0)
    streams, frames, _ = look(tmp_path / "out.mp4")
    assert " 32x48" in streams["Video"]
    upright = np.rot90(look(lying)[1], axes=(1, 2))
    assert np.abs(frames.astype(int) - upright).mean() < 30
    assert np.abs(frames.astype(int) - upright[:, ::-1, ::-1]).mean() > 60


def test_stylize_video_keeps_proportions_where_pixels_are_not_square(make_film, look, tmp_path):
    source = make_film("wide.mp4", more=" -vf setsar=2")
    stylize_video(source, "ripple", tmp_path / "out.mp4", PaintConfig(strength=0))
    _, frames, _ = look(tmp_path / "out.mp4")
    assert frames.shape[1:] == (32, 96, 3)


def test_a_cut_avi_is_told(make_film, tmp_path):
    whole, cut = make_film("film.avi", seconds="1"), tmp_path / "cut.avi"
    assert ffmpeg_process.Film(whole).fault is None
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    with pytest.warns(
        video.EndsEarly, match=r"cut\.avi' ends early: it holds \d+ of its \d+ bytes"
    ):
        stylize_video(cut, "ripple", tmp_path / "out.mp4")


def test_a_gif_has_no_sound_and_says_so(make_film, tmp_path):
    with pytest.warns(UserWarning, match="cannot hold the film's sound and subtitles, which are"):
        stylize_video(make_film("film.mkv", sound="aac"), "ripple", tmp_path / "out.gif")


@pytest.mark.parametrize(("size", "even"), [("49x33", (34, 50)), ("48x33", (34, 48))])
def test_stylize_video_takes_odd_sizes(make_film, look, tmp_path, size, even):
    assert stylize_video(make_film(size=size), "ripple", tmp_path / "out.mp4") == 10
    assert look(tmp_path / "out.mp4")[1].shape == (10, *even, 3)


def test_stylize_video_keeps_the_length_where_frames_last_unequally(
    make_film, ffmpeg, look, tmp_path
):
    even, source = make_film(fps="30", seconds="1.5"), tmp_path / "uneven.mp4"
    ffmpeg("-i", even, "-vf select=lt(n\\,15)+not(mod(n\\,7)) -fps_mode vfr -c:v libx264", source)
    seen = []
    count = stylize_video(
        source, "ripple", tmp_path / "out.mp4", on_frame=lambda *state: seen.append(state)
    )
    _, frames, seconds = look(tmp_path / "out.mp4")
    assert len(frames) == count
    assert seconds == pytest.approx(1.4, abs=0.1)  # where the last frame is
    assert seen[-1][1] == pytest.approx(count, abs=3)


def test_stylize_video_paints_as_the_config_says(make_film, look, tmp_path):
    source = make_film("film.mkv")
    config = PaintConfig(size=24, color="content", stroke_size=1.5)
    stylize_video(source, "storm", tmp_path / "out.gif", config, steady=0)
    frames, _ = gif_of(tmp_path / "out.gif")
    network = zoo.load(zoo.find("storm").path)
    for frame, before in zip(frames, np.float32(look(source)[1]) / 255, strict=True):
        small = resize(before, 24)
        expected = paint(network, small, config, style_weights=[0, 1])
        expected = keep_colors(expected, small) * 255
        assert frame.shape == expected.shape
        assert np.abs(frame - expected).mean() < 6  # 256 colors


# GIFs


def test_stylize_video_keeps_a_gifs_durations(gif, tmp_path):
    assert stylize_video(gif, "ripple", tmp_path / "out.gif", steady=0) == 5
    frames, durations = gif_of(tmp_path / "out.gif")
    before, durations_before = gif_of(gif)
    assert durations == durations_before == [40, 100, 250, 40, 70]
    assert frames.shape == before.shape
    assert np.abs(frames - painted(before)).mean() < 8


def test_stylize_video_needs_no_ffmpeg_for_gifs(gif, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    assert stylize_video(gif, "ripple", tmp_path / "out.gif") == 5


def test_stylize_video_takes_a_gif_with_transparent_parts(tmp_path):
    frames = [Image.new("RGBA", (20, 20), (200, 0, 0, 255)) for _ in range(2)]
    for number, frame in enumerate(frames):
        frame.paste((0, 0, 0, 0), (0, 5 * number, 10, 20))
    path = tmp_path / "holes.gif"
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=50, disposal=2)
    output = tmp_path / "out.gif"
    assert stylize_video(path, "ripple", output, PaintConfig(strength=0), steady=0) == 2
    painted_frames, _ = gif_of(output)
    np.testing.assert_allclose(painted_frames[1, 2, 2], (200, 0, 0), atol=3)
    np.testing.assert_allclose(painted_frames[1, 12, 2], (255, 255, 255), atol=3)


def test_stylize_video_paints_a_gif_that_is_cut_short_as_far_as_it_goes(gif, tmp_path):
    whole, output = gif.read_bytes(), tmp_path / "out.gif"
    gif.write_bytes(whole[: len(whole) // 2])
    with pytest.warns(video.EndsEarly, match=r"noise\.gif' ends early: the GIF is cut short"):
        assert stylize_video(gif, "ripple", output) == 2
    assert gif_of(output)[1] == [40, 100]
    gif.write_bytes(whole[:40])
    with pytest.raises(ValueError, match="cut short"):
        stylize_video(gif, "ripple", output)


@pytest.mark.parametrize("often", [{}, {"loop": 0}, {"loop": 3}])
def test_stylize_video_keeps_how_often_a_gif_plays(gif, tmp_path, often):
    with Image.open(gif) as image:
        image.save(tmp_path / "source.gif", save_all=True, **({"loop": None} | often))
    stylize_video(tmp_path / "source.gif", "ripple", tmp_path / "out.gif")
    with Image.open(tmp_path / "out.gif") as image:
        assert image.info.get("loop") == often.get("loop")


def test_stylize_video_keeps_a_film_that_is_to_be_the_output(make_film, tmp_path):
    film = tmp_path / "film.mp4"
    film.write_bytes(make_film().read_bytes())
    with pytest.raises(ValueError, match="must be another file"):
        stylize_video(film, "ripple", film)
    assert film.read_bytes() == make_film().read_bytes()


def test_stylize_video_follows_a_link(gif, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "link.gif").symlink_to("real.gif")
    stylize_video("~/noise.gif", "ripple", "~/link.gif")
    assert (tmp_path / "link.gif").is_symlink()
    assert len(gif_of(tmp_path / "real.gif")[1]) == 5


def test_stylize_video_writes_a_gif_as_a_film(gif, ffmpeg, look, tmp_path):
    assert stylize_video(gif, "ripple", tmp_path / "out.mp4") == 5
    _, frames, seconds = look(tmp_path / "out.mp4")
    assert frames.shape == (5, 24, 34, 3)
    assert seconds == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize(
    ("fps", "count", "durations"),
    [("25", 10, {40}), ("30000/1001", 12, {30, 40}), ("60", 20, {20})],
)
def test_stylize_video_writes_a_film_as_a_gif(make_film, tmp_path, fps, count, durations):
    source = make_film(fps=fps, seconds="0.4", sound="aac")
    assert stylize_video(source, "ripple", tmp_path / "out.gif") == count
    _, found = gif_of(tmp_path / "out.gif")
    assert set(found) == durations
    assert sum(found) == pytest.approx(400, abs=20)


@pytest.mark.parametrize(
    ("shown", "exact"),
    [(25, 25), (23.98, 24000 / 1001), (29.97, 30000 / 1001), (14.99, 15000 / 1001), (12.5, 12.5)],
)
def test_exact_fps_knows_the_rates_of_television(shown, exact):
    assert ffmpeg_process.exact_fps(float(shown)) == exact


# Calm


def noisy(count, seed=0):
    """A still picture with the noise of a camera."""
    random = np.random.default_rng(seed)
    still = random.random((24, 32, 3)) * 0.8 + 0.1
    return [np.float32(still + random.normal(0, 0.01, still.shape)) for _ in range(count)]


def flicker(painter, frames):
    pictures = [painter(frame) for frame in frames]
    return np.mean([np.abs(b - a).mean() for a, b in itertools.pairwise(pictures)])


def test_steady_holds_back_what_flickers(tiny_painter):
    found = [flicker(Painter(tiny_painter(), steady=s), noisy(6)) for s in (0, 0.5, 0.8, 1)]
    assert found[0] > 0.005
    assert found[1] < 0.7 * found[0]
    assert found[2] < 0.4 * found[0]
    assert found[3] < found[2]


def test_steady_starts_anew_at_a_cut(tiny_painter):
    dark, bright = (np.float32([frame]) for frame in noisy(2))
    dark, bright = dark[0] * 0.3, 1 - bright[0] * 0.3
    film = Painter(tiny_painter(), steady=0.8)
    film(dark)
    film(dark)
    np.testing.assert_allclose(film(bright), Painter(tiny_painter(), steady=0.8)(bright), atol=1e-5)


def test_steady_leaves_no_trace_where_something_moved(tiny_painter):
    frame = np.full((24, 64, 3), 0.2, np.float32)
    after = frame.copy()
    after[:, 32:] += 0.3
    network = tiny_painter()
    film = Painter(network, steady=0.8)
    film(frame)
    result = film(after)
    alone = paint(network, after, moments=film._moments)
    np.testing.assert_allclose(result[:, 40:], alone[:, 40:], atol=1e-5)


def test_steady_moves_statistics_slowly(tiny_painter):
    network, (frame, _) = tiny_painter(), noisy(2)
    brighter, weights = frame * 0.9 + 0.1, np.ones((1, 1), np.float32)
    film = Painter(network, steady=0.8)
    film(frame)
    film(brighter)
    before, after = (
        picture_moments(network, picture, PaintConfig(), weights) for picture in (frame, brighter)
    )
    for number, (found, old, new) in enumerate(zip(film._moments, before, after, strict=True)):
        if number:  # it sees what the norms before it make of the frame with moved statistics
            known, whole = film._moments[:number], np.int32([0, 24, 0, 32])
            mean, square, _ = _looking(network, number)(brighter[None], weights, known, whole)
            new = mean, square - mean**2
        expected = 0.8 * np.stack(old) + 0.2 * np.stack(new)
        np.testing.assert_allclose(np.stack(found), expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("config", [{}, {"stroke_size": 0.5}, {"strength": 0.5}])
def test_a_steady_frame_is_painted_with_its_statistics(tiny_painter, config):
    network, frames, config = tiny_painter(), noisy(2), PaintConfig(**config)
    _, before = paint_after(network, frames[0], config, None, None, 0.8)
    for statistics in ("whole", "exact"):
        fields = dataclasses.replace(config, statistics=statistics)
        found, moments = paint_after(network, frames[1], fields, None, before, 0.8)
        again = paint(network, frames[1], config, moments=moments)
        np.testing.assert_allclose(found, again, atol=1e-5)


def test_steady_starts_anew_where_the_size_changes(tiny_painter):
    film = Painter(tiny_painter(), steady=0.8)
    film(noisy(1)[0])
    other = noisy(1)[0][:20]
    expected = Painter(tiny_painter(), steady=0.8)(other)
    np.testing.assert_allclose(film(other), expected, atol=1e-5)


@pytest.mark.parametrize("steady", [0, 0.8])
def test_frames_painted_in_batches_are_those_painted_one_by_one(tiny_painter, monkeypatch, steady):
    batches = []

    def watched(network, images, *arguments, **options):
        batches.append(len(images))
        return paint_batch(network, images, *arguments, **options)

    monkeypatch.setattr(video, "TOGETHER", 2 * 32 * 40)
    monkeypatch.setattr(video, "paint_batch", watched)
    frames = list(np.random.default_rng(0).integers(0, 256, (5, 32, 40, 3), np.uint8))
    painted = list(Painter(tiny_painter(), steady=steady).paint_all(iter(frames)))
    assert batches == ([] if steady else [2, 2, 1])
    single = Painter(tiny_painter(), steady=steady)
    for picture, frame in zip(painted, frames, strict=True):
        np.testing.assert_allclose(picture, single(np.float32(frame) / 255), atol=1e-5)


def test_first_frame_is_painted_as_a_photograph(tiny_painter):
    frame = noisy(1)[0]
    expected = paint(tiny_painter(), frame)
    for steady in (0, 0.8):
        painter = Painter(tiny_painter(), steady=steady)
        np.testing.assert_allclose(painter(frame), expected, atol=1e-5)


def test_painter_takes_statistics_as_the_config_says(tiny_painter, monkeypatch):
    monkeypatch.setattr("tfstyle.painting.sizes.SAMPLE", 16)
    frame = noisy(1)[0]
    config = PaintConfig(statistics="sampled", stroke_size=0.5)
    expected = paint(tiny_painter(), frame, config)
    assert np.abs(expected - paint(tiny_painter(), frame)).max() > 0.01
    painter = Painter(tiny_painter(), config, steady=0.8)
    np.testing.assert_allclose(painter(frame), expected, atol=1e-5)


# Stopping and failing


@pytest.mark.parametrize("name", ["out.mp4", "out.mkv", "out.gif"])
def test_stopping_keeps_the_film_so_far(make_film, look, tmp_path, name):
    source, output, seen = make_film(sound="aac", seconds="1"), tmp_path / name, []

    def stop(done, total):
        seen.append((done, total))
        return done == 7

    assert stylize_video(source, "ripple", output, on_frame=stop) == 7
    assert seen == [(done, 25) for done in range(1, 8)]
    assert [path.name for path in tmp_path.iterdir()] == [name]
    if name.endswith(".gif"):
        assert gif_of(output)[1] == [40] * 7
        return
    streams, frames, seconds = look(output)
    assert len(frames) == 7
    assert "Audio" in streams
    assert seconds == pytest.approx(7 / 25, abs=0.06)  # the sound does not run on


@pytest.mark.parametrize("name", ["out.mp4", "out.gif"])
def test_a_failure_leaves_the_output_as_it_was(make_film, tmp_path, name):
    (tmp_path / name).write_text("an older film")

    def fail(done, total):
        if done == 3:
            raise RuntimeError("the power went out")

    with pytest.raises(RuntimeError, match="the power went out"):
        stylize_video(make_film(), "ripple", tmp_path / name, on_frame=fail)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "an older film"


def test_what_ffmpeg_cannot_write_is_an_error(make_film, tmp_path, monkeypatch):
    monkeypatch.setattr(ffmpeg_process, "EVEN_BT709", "no_such_filter")
    with pytest.raises(OSError, match=r"could not write a \.mp4 film: .*No such filter"):
        stylize_video(make_film(), "ripple", tmp_path / "out.mp4")
    assert not list(tmp_path.iterdir())


@pytest.fixture
def wrap_ffmpeg(ffmpeg, tmp_path_factory, monkeypatch):
    """Function that lets a shell script, in which `real` is FFmpeg, stand in for it."""
    real = ffmpeg_process.executable()

    def wrap(script):
        path = tmp_path_factory.mktemp("fake") / "ffmpeg"
        path.write_text(f'#!/bin/sh\nreal() {{ {real} "$@"; }}\n{script}\n')
        path.chmod(0o755)
        monkeypatch.setattr(ffmpeg_process, "executable", lambda: str(path))

    return wrap


def test_a_film_that_a_full_disk_does_not_take_leaves_the_old_one(gif, full_disk, tmp_path):
    (tmp_path / "out.gif").write_bytes(b"old")
    full_disk(tmp_path)
    with pytest.raises(OSError, match=r"No space left on device: '.*/out.gif'$"):
        stylize_video(gif, "ripple", tmp_path / "out.gif")
    assert {path.name for path in tmp_path.iterdir()} == {"noise.gif", "out.gif"}
    assert (tmp_path / "out.gif").read_bytes() == b"old"


def test_a_film_does_not_replace_the_painting(gif, tmp_path):
    painting = tmp_path / "painting.gif"
    Image.radial_gradient("L").save(painting)
    before = painting.read_bytes()
    with pytest.raises(ValueError, match="must be another file than what the run reads"):
        stylize_video(gif, [gif, painting], painting)
    assert painting.read_bytes() == before


def test_a_full_disk_is_an_error_and_leaves_no_film(make_film, wrap_ffmpeg, tmp_path):
    # Some FFmpegs end well on a full disk: the file has no index.
    wrap_ffmpeg("""
        real "$@"
        for last; do :; done; file=${last#file:}
        case "$*" in *pipe:0*) head -c 600 "$file" > "$file.cut"; mv "$file.cut" "$file";; esac
    """)
    (tmp_path / "out.mp4").write_text("an older film")
    with pytest.raises(OSError, match=r"holds 0 of 10 frames\. Is the disk full\?"):
        stylize_video(make_film(), "ripple", tmp_path / "out.mp4")
    assert (tmp_path / "out.mp4").read_text() == "an older film"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_writer_that_ends_with_a_status_is_an_error(make_film, wrap_ffmpeg, tmp_path):
    script = 'real "$@"; case "$*" in *pipe:0*) echo "[x @ 0x1] No space left" >&2; exit 228;; esac'
    wrap_ffmpeg(script)
    with pytest.raises(OSError, match=r"FFmpeg ended with status 228 \(No space left\)\."):
        stylize_video(make_film(), "ripple", tmp_path / "out.mp4")
    assert not list(tmp_path.iterdir())


def test_a_reader_that_dies_leaves_the_film_so_far(make_film, wrap_ffmpeg, look, tmp_path):
    frame = 48 * 32 * 3 + 70
    wrap_ffmpeg(f"""
        case "$*" in *image2pipe*) real "$@" | head -c {4 * frame}; kill -9 $$;; esac
        real "$@" """)
    source = make_film(sound="aac")
    with pytest.warns(video.EndsEarly, match=r"status -9.* first 4 frames are painted\."):
        assert stylize_video(source, "ripple", tmp_path / "out.mp4") == 4
    streams, frames, seconds = look(tmp_path / "out.mp4")
    assert len(frames) == 4
    assert "Audio" in streams
    assert seconds == pytest.approx(4 / 25, abs=0.06)


def test_a_film_that_is_cut_short_is_painted_as_far_as_it_goes(make_film, look, tmp_path):
    source = make_film(seconds="2", more=" -g 10 -movflags +faststart")
    whole = source.read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) * 6 // 10])
    with pytest.warns(video.EndsEarly, match=r"cut\.mp4' ends early: it holds .* of its 2\.0 s"):
        count = stylize_video(tmp_path / "cut.mp4", "ripple", tmp_path / "out.mp4")
    assert 5 < count < 45
    assert len(look(tmp_path / "out.mp4")[1]) == count


# Colors


@pytest.fixture
def first_pixel(look, tmp_path):
    """Function that gives the first pixel of a film painted with no strength."""

    def pixel(source):
        stylize_video(source, "ripple", tmp_path / "out.mkv", PaintConfig(strength=0))
        return look(tmp_path / "out.mkv")[1][0, 2, 2]

    return pixel


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("film.mov", "qtrle"),
        ("film.webm", "libvpx-vp9 -pix_fmt yuva420p"),
        ("old.webm", "libvpx -auto-alt-ref 0 -pix_fmt yuva420p"),
    ],
)
def test_what_is_transparent_in_a_film_is_laid_on_white(ffmpeg, first_pixel, tmp_path, name, codec):
    color = "color=c=green@0:size=64x48:rate=10:duration=0.2,format=rgba"
    ffmpeg(f"-f lavfi -i {color} -c:v {codec}", tmp_path / name)
    np.testing.assert_allclose(first_pixel(tmp_path / name), 255, atol=3)


@pytest.mark.parametrize(("curve", "white"), [("smpte2084", "949494"), ("arib-std-b67", "BFBFBF")])
def test_hdr_films_are_brought_to_sdr(ffmpeg, first_pixel, tmp_path, curve, white):
    tags = f"log-level=error:colorprim=bt2020:transfer={curve}:colormatrix=bt2020nc"
    ffmpeg(
        f"-f lavfi -i color=c=0x{white}:size=64x64:rate=10:duration=0.2",
        "-vf scale=out_color_matrix=bt2020nc:out_range=tv,format=yuv420p10le",
        f"-c:v libx265 -x265-params {tags}",
        tmp_path / "hdr.mp4",
    )
    assert first_pixel(tmp_path / "hdr.mp4").min() > 235  # white of 203 cd/m²; its code is at 58 %


def test_an_hdr_film_that_ffmpeg_cannot_convert_is_refused(make_film, tmp_path, monkeypatch):
    monkeypatch.setattr(ffmpeg_process, "_to_bt709", lambda *arguments: "no_such_filter,")
    monkeypatch.setattr(zoo, "load", lambda path: pytest.fail("too late"))
    with pytest.raises(ValueError, match=r"no film that FFmpeg can read: .*No such filter"):
        stylize_video(make_film(), "ripple", tmp_path / "out.mp4")


def test_films_in_wide_colors_are_brought_to_bt709(ffmpeg, first_pixel, tmp_path):
    ffmpeg(
        "-f lavfi -i color=c=0xC83C1E:size=64x48:rate=10:duration=0.2",
        "-vf scale=out_color_matrix=bt709:out_range=tv,format=yuv420p,"
        "setparams=colorspace=bt709:color_primaries=smpte432:color_trc=bt709 -c:v libx264 -crf 1",
        tmp_path / "p3.mp4",
    )
    red, green, _ = first_pixel(tmp_path / "p3.mp4")
    assert red > 205  # in Display P3 this red is more vivid
    assert green < 55


@pytest.mark.parametrize(
    ("size", "matrix"), [("1280x720", "bt709"), ("720x576", "bt601"), ("608x1080", "bt709")]
)
def test_films_without_tags_are_read_as_players_do(ffmpeg, tmp_path, size, matrix):
    path = tmp_path / "film.mkv"
    ffmpeg(
        f"-f lavfi -i color=c=0xC83C1E:size={size}:rate=10:duration=0.1",
        f"-vf scale=out_color_matrix={matrix}:out_range=tv,format=yuv420p,setparams=colorspace=-1",
        "-c:v libx264 -crf 1 -preset ultrafast",
        path,
    )
    film = ffmpeg_process.Film(path)
    frame = next(film.frames())
    np.testing.assert_allclose(frame[2, 2], (200, 60, 30), atol=6)


# Tracks


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_all_sound_tracks_and_subtitles_are_kept(make_film, ffmpeg, tmp_path, suffix):
    (tmp_path / "said.srt").write_text("1\n00:00:00,000 --> 00:00:00,300\nHello\n")
    source = tmp_path / "source.mkv"
    tracks = "-map 0:v -map 1:a -map 2:a -map 3:s -c:v copy -c:a:0 aac -c:a:1 libmp3lame -c:s srt"
    sines = "-f lavfi -i sine=duration=0.4 -f lavfi -i sine=300:duration=0.4"
    ffmpeg("-i", make_film(), sines, "-i", tmp_path / "said.srt", tracks, source)
    output = tmp_path / f"out{suffix}"
    stylize_video(source, "ripple", output)
    film = ffmpeg_process.Film(output)
    assert film.sound == ["aac", "aac"]
    assert film.subtitles == [{".mkv": "subrip", ".mp4": "mov_text"}[suffix]]


def test_subtitles_that_do_not_fit_are_named(make_film, tmp_path, monkeypatch):
    header = ffmpeg_process._header
    said = "\n  Stream #0:1: Subtitle: hdmv_pgs_subtitle (pgssub), 1920x1080"
    monkeypatch.setattr(ffmpeg_process, "_header", lambda path: header(path) + said)
    with pytest.warns(UserWarning, match=r"A \.mp4 film cannot hold .*hdmv_pgs_subtitle, which"):
        stylize_video(make_film(), "ripple", tmp_path / "out.mp4")


@pytest.mark.parametrize("name", ["http:film.mp4", "-y.mp4", "[0]:'50%d'.mp4"])
def test_names_that_mean_something_to_ffmpeg_are_names(make_film, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    shutil.copy(make_film(), tmp_path / name)
    assert stylize_video(name, "ripple", f"out_{name}") == 10


def test_a_recording_whose_rate_is_that_of_its_clock_keeps_its_frames(make_film, monkeypatch):
    header = ffmpeg_process._header(make_film()).replace("25 fps", "1k fps")
    monkeypatch.setattr(ffmpeg_process, "_header", lambda path: header)
    film = ffmpeg_process.Film(make_film())
    assert (film.fps, film.total) == (25, 10)


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"source": "gone.mp4"}, FileNotFoundError, r"There is no film 'gone\.mp4'\."),
        ({"source": "pipe.mp4"}, ValueError, r"must name a file\. Received: 'pipe\.mp4', a pipe"),
        ({"source": "text.mp4"}, ValueError, r"'text\.mp4' is no film that FFmpeg can read\."),
        ({"source": "song.mp4"}, ValueError, r"'song\.mp4' is no film that FFmpeg can read\."),
        (
            {"source": "text.gif"},
            ValueError,
            r"'text\.gif' is no GIF that can be read, or cut short\.",
        ),
        ({"style": "monet"}, ValueError, r"`style` must be one of \('ripple', .*'monet'\."),
        ({"style": "gone.keras"}, FileNotFoundError, r"gone\.keras"),
        ({"output": "out.avi"}, ValueError, r"one of \.mp4, \.mov, \.mkv, \.m4v, \.gif"),
        ({"output": "nowhere/out.mp4"}, FileNotFoundError, "Create the folder 'nowhere' first"),
        ({"steady": 1.5}, ValueError, r"`steady` must lie between 0 and 1\. .*steady=1\.5\."),
        ({"steady": float("nan")}, ValueError, "`steady` must lie between"),
        ({"style_weights": [1, 2]}, ValueError, "each of the network's 1 styles"),
    ],
)
def test_stylize_video_refuses_bad_input(
    make_film, song, tmp_path, monkeypatch, arguments, error, text
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.mp4").write_text("no film")
    (tmp_path / "text.gif").write_text("no film")
    shutil.copy(song, "song.mp4")
    os.mkfifo("pipe.mp4")
    before = sorted(tmp_path.iterdir())
    good = {"source": make_film(), "style": "ripple", "output": "out.mp4"}
    with pytest.raises(error, match=text):
        stylize_video(**(good | arguments))
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(("source", "output"), [("film.mp4", "out.gif"), ("noise.gif", "out.mp4")])
def test_stylize_video_says_what_to_install(gif, tmp_path, monkeypatch, source, output):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    monkeypatch.setattr(zoo, "load", lambda path: pytest.fail("too late"))
    (tmp_path / "film.mp4").write_text("never opened")
    with pytest.raises(ImportError, match=r"pip install 'tfstyle\[video\]'\. GIFs go without\."):
        stylize_video(tmp_path / source, "ripple", tmp_path / output)
    assert not (tmp_path / output).exists()
