"""Make the two pictures that ship with the package, by code alone, so that they are ours to give.

Run `python tests/demo_pictures.py tfstyle/pictures`. It takes about a minute and writes

- `lake.jpg`, the photograph: eroded mountains over a rippled lake at golden hour,
- `brushwork.jpg`, the painting: thousands of bristly strokes along a whirling flow.

The numbers are taste, found by looking: metres and linear light for the lake, fractions of the
side for the painting.
"""

import io
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

SUN = np.array([-0.90, -0.30, 0.27]) / np.linalg.norm([-0.90, -0.30, 0.27])  # east, north, up
SUNLIGHT, SKYLIGHT = np.array([4.4, 2.46, 1.1]), np.array([0.19, 0.30, 0.59])
BOUNCE = np.array([0.08, 0.05, 0.03])  # what lit ground throws back
CELL, WEST, SOUTH = 6.0, -6000.0, 800.0  # the map's cell and south-west corner
EYE, FOCAL, HORIZON = 5.0, 930, 345  # height above the lake; pixels of a picture 960 wide
PEAKS = (  # east, north, height, reach
    (-520, 5600, 2050, 2500), (-1900, 6400, 1500, 2200), (1500, 6700, 1650, 2300),
    (2900, 5000, 1500, 2100), (-3000, 4300, 1300, 1700), (600, 7600, 1650, 2200),
    (-4300, 7500, 1800, 2500), (4600, 7500, 1700, 2500), (-1500, 2700, 470, 1200),
    (1350, 2900, 420, 1150),
)  # fmt: skip
ROCKS = (  # east, north, size
    (-10.4, 20.6, 1.3), (-8.2, 19.6, 0.8), (-9.6, 23.4, 0.9), (-6.9, 20.6, 0.42),
    (-12.0, 26.0, 1.2), (9.0, 19.6, 0.5), (10.4, 20.8, 1.0),
)  # fmt: skip


def smoothstep(low, high, x):
    """Rise smoothly from 0 at `low` to 1 at `high`."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def cloudy(rng, size, slope):
    """Make a periodic noise texture of unit variance whose amplitudes fall with frequency."""
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None])
    frequency[0, 0] = np.inf
    spectrum = np.fft.rfft2(rng.standard_normal((size, size))) * frequency**-slope
    texture = np.fft.irfft2(spectrum, (size, size))
    return (texture / texture.std()).astype(np.float32)


def tiled(texture, x, y, period):
    """Sample a periodic texture that repeats every `period` units."""
    scale = texture.shape[0] / period
    return ndimage.map_coordinates(texture, [y * scale, x * scale], order=1, mode="grid-wrap")


def erode(height, rng, rounds, drops, steps):
    """Let raindrops run down a height field, taking ground where fast and leaving it where slow."""
    rows, cols = height.shape
    edge = np.array([[rows - 2.0], [cols - 2.0]], np.float32)
    for _ in range(rounds):
        gradient = np.gradient(height)
        at = rng.uniform(1, edge, (2, drops)).astype(np.float32)
        velocity, load = np.zeros_like(at), np.zeros(drops, np.float32)
        change = np.zeros(rows * cols, np.float32)
        for step in range(steps):
            cell = at.astype(np.int32)
            slope = np.stack([ndimage.map_coordinates(g, at, order=1) for g in gradient])
            velocity = 0.55 * velocity - 0.45 * slope
            speed = np.hypot(*velocity) + 1e-6
            room = np.minimum(speed, 1.5) * 5 * (1 - step / steps) - load
            taken = room * np.where(room > 0, 0.12, 0.25)
            load += taken
            np.subtract.at(change, cell[0] * cols + cell[1], taken)
            at = np.clip(at + velocity / speed, 1, edge)
        change = ndimage.gaussian_filter(change.reshape(rows, cols), 0.7)
        height = height + np.clip(change, -12, 12)
    return height


def mountains(rng):
    """Raise, fold and erode the land around the lake; the water's level is 0."""
    y, x = np.mgrid[0:700, 0:1000].astype(np.float32) * (2 * CELL)
    x, y = x + WEST, y + SOUTH
    warp, bend = cloudy(rng, 512, 1.9), cloudy(rng, 512, 1.9)
    bent = x + 260 * tiled(warp, x, y, 7000), y + 260 * tiled(bend, x, y, 7000)
    land = np.zeros_like(x)
    for east, north, top, reach in PEAKS:
        away = np.hypot(bent[0] - east, bent[1] - north) / reach
        land = np.maximum(land, top * np.exp(-1.9 * away**1.1))
    folds = sum(
        0.5**i * (1 - 1.2 * np.abs(tiled(cloudy(rng, 256, 2.6), *bent, 3600 / 2**i)))
        for i in range(4)
    )
    land = land * (0.62 + 0.27 * folds) + 45 * tiled(warp, x, y, 3000)
    inland = y - 1500 - 170 * tiled(bend, x, y, 5000) + 5e-5 * x * x
    land = land * smoothstep(-200, 1500, inland) + 0.09 * np.clip(inland, -400, 900)
    land = erode(land.astype(np.float32), rng, 26, 24000, 42)
    land = ndimage.zoom(land, 2, order=3, mode="nearest", grid_mode=True)
    land += 13 * smoothstep(200, 700, land) * tiled(warp, *np.mgrid[0:2000, 0:1400], 900).T
    return erode(land, rng, 8, 110000, 24)


def cast_shadows(height):
    """Say how far below the edge of the sun's shadow each cell lies, sweeping away from the sun."""
    aside, drop = SUN[1] / SUN[0], CELL * SUN[2] / abs(SUN[0])
    rows, roof = np.arange(height.shape[0]), height.copy()
    for i in range(1, height.shape[1]):
        roof[:, i] = np.maximum(height[:, i], np.interp(rows - aside, rows, roof[:, i - 1]) - drop)
    return roof - height


def forest(rng, size=1024, trees=7000, reach=13):
    """Make a periodic tile of conifers seen from above: height, slope to the sun and tint."""
    tile = np.zeros((3, size, size), np.float32)
    dy, dx = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    for row, col, tall, tint in rng.uniform([0, 0, 0.45, 0], [size, size, 1, 1], (trees, 4)):
        away = np.hypot(dy, dx) / (reach * (0.55 + 0.45 * tall))
        cone = tall * np.clip(1 - away, 0, 1) ** 0.8
        spot = np.ix_(np.arange(3), (dy[:, 0] + int(row)) % size, (dx[0] + int(col)) % size)
        tree = np.stack([cone, -(0.92 * dx + 0.4 * dy) / reach, np.full_like(cone, tint)])
        tile[spot] = np.where(cone > tile[spot][0], tree, tile[spot])
    return tile


class Valley:
    """The land as maps, and how it looks from a point above or, mirrored, below the lake."""

    def __init__(self, seed, scale):
        self.scale, self.focal = scale, FOCAL * scale
        self.land, rng = mountains(np.random.default_rng(seed)), np.random.default_rng(seed + 1)
        self.slope_y, self.slope_x = np.gradient(self.land, CELL)
        self.shade = cast_shadows(self.land)
        self.hollow = ndimage.gaussian_filter(self.land, 14) - self.land
        self.noise, self.rough = cloudy(rng, 1024, 1.25), cloudy(rng, 1024, 0.9)
        self.cloud, self.forest = cloudy(rng, 1024, 1.7), forest(rng)
        side = np.arange(960 * scale) + 0.5 - 480 * scale
        self.side = (side / self.focal).astype(np.float32)  # of each column: x / depth

    def at(self, field, x, y):
        """Sample one of the maps."""
        where = [(y - SOUTH) / CELL, (x - WEST) / CELL]
        return ndimage.map_coordinates(field, where, order=1, mode="nearest")

    def ground(self, x, y):
        """Give the height of the ground and how densely trees stand there."""
        height, rough = self.at(self.land, x, y), tiled(self.rough, x, y, 900)
        steep = np.hypot(self.at(self.slope_x, x, y), self.at(self.slope_y, x, y))
        noise = tiled(self.noise, x, y, 2600)
        wood = smoothstep(-0.2, 0.3, 0.9 - steep + 0.35 * noise) * smoothstep(1, 4, height)
        wood *= smoothstep(560, 330, height + 130 * noise)
        wood *= smoothstep(-1.7, -1.1, tiled(self.noise, x + 500, y, 1700))
        return height + smoothstep(5, 60, height) * 2.4 * rough, wood, steep

    def view(self, eye, up):
        """Look north from the height `eye`; `up` holds each row's pixels above the horizon."""
        depth = np.geomspace(820, 9100, int(1500 * self.scale**0.5))[:, None].astype(np.float32)
        x, y = self.side * depth, np.broadcast_to(depth, (len(depth), len(self.side)))
        height, wood, _ = self.ground(x, y)
        height = np.where(height > 0.2, height + 20 * wood * tiled(self.forest[0], x, y, 400), -50)
        rise = self.focal * (height - eye) / depth
        skyline = np.maximum.accumulate(rise, axis=0)
        seen = np.full((len(up), len(self.side)), np.nan, np.float32)
        for col in range(len(self.side)):
            step = np.searchsorted(skyline[:, col], up)
            on = (step > 0) & (step < len(depth))
            step = step[on]
            below, above = skyline[step - 1, col], rise[step, col]
            part = np.clip((up[on] - below) / np.maximum(above - below, 1e-3), 0, 1)
            seen[on, col] = depth[step - 1, 0] * (1 - part) + depth[step, 0] * part
        side, up = np.broadcast_arrays(self.side, up[:, None] / self.focal)
        sky = np.isnan(seen)[..., None]
        return np.where(sky, self.sky(side, up), self.lit_land(np.nan_to_num(seen, nan=5e3), side))

    def air(self, side):
        """Color the air along the horizon, warm toward the sun at the left."""
        return [0.28, 0.34, 0.48] + np.exp(-2.2 * (side + 0.55))[..., None] * [0.24, 0.11, 0.01]

    def sky(self, side, up):
        """Color the sky: a gradient, and clouds in a plane far above."""
        up = np.maximum(up, 0)
        x, y, clear = side / (up + 0.05), 1 / (up + 0.05), np.exp(-5 * up)[..., None]

        def density(x, y):
            wisps = 0.45 * tiled(self.cloud, y + 1, x, 3.1) + 0.16 * tiled(self.rough, x, y, 2)
            return tiled(self.cloud, x * 0.8 + 4.6, y + 2, 9) + wisps

        here, sunward = density(x, y), density(x - 0.16, y - 0.05)
        lit = 0.1 + 0.9 * np.exp(-1.1 * np.clip(sunward, 0, 4))
        lit = np.clip(lit + 0.25 * np.clip(here - sunward, -1, 1), 0, 1.6)[..., None]
        cover = 0.93 * (smoothstep(0.1, 1.8, here) * smoothstep(0.0, 0.12, up))[..., None]
        color = self.air(side) * clear + [0.045, 0.13, 0.40] * (1 - clear)
        return color * (1 - cover) + ([0.30, 0.30, 0.42] + lit * [1.15, 0.66, 0.40]) * cover

    def lit_land(self, y, side):
        """Color the land at depth `y`: rock, snow, meadow and trees, sunlit, in blue air."""
        x = side * y
        height, wood, steep = self.ground(x, y)
        broad, fine = tiled(self.noise, x, y, 3000), tiled(self.noise, x + 100, y, 700)
        face, drop = x + 0.6 * y, height * 0.8 + 0.35 * x
        grit = [tiled(self.rough, face + 90 * i, drop, 3400 / 2.2**i) for i in range(3)]
        crag = smoothstep(4, 60, height) * (0.15 + smoothstep(0.4, 1.6, steep))
        hollow = self.at(self.hollow, x, y)

        strata = np.sin(0.055 * height + 2.2 * broad) + 0.6 * np.sin(0.17 * height + 3 * fine)
        shades = 1 + 0.10 * strata + 0.16 * grit[1] + 0.12 * fine
        color = np.clip(shades, 0.2, 2)[..., None] * [0.25, 0.215, 0.195]
        grass = smoothstep(1.0, 0.55, steep + 0.12 * fine)
        grass *= smoothstep(900, 500, height + 120 * broad)
        meadow = np.clip(1 + 0.25 * fine + 0.15 * grit[1], 0.3, 2)[..., None]
        color += (meadow * [0.15, 0.125, 0.045] - color) * grass[..., None]
        snow = (height + 400) / 900 - 0.52 * steep + 0.003 * hollow + 0.2 * fine + 0.25 * grit[0]
        snow = smoothstep(-0.10, 0.12, snow)
        snow *= smoothstep(420, 620, height + 90 * broad + 60 * fine)
        color += ([0.86, 0.89, 0.94] - color) * snow[..., None]
        east = self.at(self.slope_x, x, y) - crag * (0.26 * grit[0] + 0.20 * grit[1])
        north = self.at(self.slope_y, x, y) - crag * (0.22 * grit[1] + 0.18 * grit[2])
        east, north = east * (1 - 0.45 * snow), north * (1 - 0.45 * snow)
        sun = (SUN[2] - east * SUN[0] - north * SUN[1]) / np.sqrt(1 + east**2 + north**2)
        open_sky = np.clip(1 - 0.006 * hollow, 0.45, 1.2) * (1 + steep**2) ** -0.2

        tree, slope, tint = (tiled(tile, x, y, 400) for tile in self.forest)
        larch = smoothstep(0.8, 1.0, tint + 0.42 * fine + 0.2 * broad)[..., None]
        leaf = [0.030, 0.050, 0.022] * (1 - larch) + [0.24, 0.12, 0.02] * larch
        wooded = wood * tree > 0.06
        color = np.where(wooded[..., None], leaf * (0.6 + 0.8 * tint[..., None]), color)
        sun = np.where(wooded, (0.35 + 0.9 * slope + 0.3 * sun) * (0.25 + 0.75 * tree), sun)
        open_sky = np.where(wooded, 0.3 + 0.7 * tree, open_sky)
        sun = np.clip(sun, 0, 1) * smoothstep(26, 2, self.at(self.shade, x, y) - 20 * wooded * tree)
        color *= SUNLIGHT * sun[..., None] + (SKYLIGHT + BOUNCE) * open_sky[..., None]

        thick = 1 - np.exp(-((y * np.exp(-height / 1800) / 14000) ** 1.15))
        swirl = 0.6 + 0.4 * tiled(self.noise, 0.4 * x, 0.4 * y + 9 * height, 2000)
        mist = 0.55 * np.exp(-height / 40) * smoothstep(900, 2600, y) * swirl
        veil = np.clip(thick + mist, 0, 1)[..., None]
        return color * (1 - veil) + self.air(side) * [0.9, 0.95, 1.05] * veil


def shade(parts, origin=(0, 0, 0), turn=0.0):
    """Turn parts (points, normals, albedo, shelter), set them down and light them."""
    points, normals, albedo, shelter = (np.concatenate(some) for some in zip(*parts, strict=True))
    cos, sin = np.cos(turn), np.sin(turn)
    spin = np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])
    normals = normals @ spin
    sun = np.clip(normals @ SUN, 0, 1)[:, None] * shelter[:, None] ** 1.5
    sky = (0.65 + 0.35 * normals[:, 2:]) * (SKYLIGHT + BOUNCE) * shelter[:, None]
    return points @ spin + origin, np.clip(albedo, 0, None) * (SUNLIGHT * sun + sky)


def conifer(rng, tall, count):
    """Grow a conifer of drooping whorled branches."""
    whorls = int(tall * 1.6)
    level = np.minimum(rng.integers(0, whorls, count), rng.integers(0, int(1.5 * whorls), count))
    out, branch = rng.random(count) ** 0.7, rng.integers(0, 7, count)
    angle = 2.4 * level + 0.898 * branch + rng.normal(0, 0.22, count) * (1.2 - out)
    length = rng.uniform(0.45, 1.25, (whorls, 7))[level, branch] * tall * rng.uniform(0.16, 0.23)
    up = (level + 0.5 + rng.uniform(-0.5, 0.5, (whorls, 7))[level, branch]) / whorls
    up = np.clip(up + rng.normal(0, 0.16, count) * (1.1 - out) / whorls, 0, 1)
    spread = out * length * (1.03 - up) ** 1.05
    height = tall * (0.06 + 0.94 * up) - (0.55 - 0.5 * up) * spread
    height -= rng.random(count) ** 2 * 0.05 * tall * (1.1 - up) * out
    ring = np.stack([np.cos(angle), np.sin(angle)])
    normals = np.stack([*ring, np.full(count, 0.55)], 1) / 1.14 + rng.normal(0, 0.35, (count, 3))
    green = rng.uniform(0.6, 1.4, (count, 1)) * rng.uniform(0.7, 1.3) * [0.040, 0.062, 0.026]
    return np.stack([*(ring * spread), height], 1), normals, green, np.clip(0.22 + 0.85 * out, 0, 1)


def boulder(rng, texture, size, count):
    """Cut a boulder from a ball by planes."""
    cuts, rays = rng.normal(size=(44, 3)), rng.normal(size=(count, 3))
    cuts /= np.linalg.norm(cuts, axis=1, keepdims=True)
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    reach = rng.uniform(0.66, 1.05, 44) / np.maximum(rays @ cuts.T, 1e-3)
    points = rays * np.minimum(reach.min(1), 1.15)[:, None] * size * [1.25, 1, 0.65]
    grain = points @ rng.normal(0, 0.4, (3, 6)) / size
    rough = np.stack([tiled(texture, grain[:, i], grain[:, i + 1], 1.5) for i in (0, 2, 4)], 1)
    normals = cuts[reach.argmin(1)] + 0.22 * rough + rng.normal(0, 0.05, (count, 3))
    tint = np.where(rough[:, :1] > 1.5, [1.25, 1.05, 0.5], 1.0)  # lichen
    tint = tint * (0.35 + 0.65 * smoothstep(0, 0.16, points[:, 2:] + 0.02 * rough[:, :1]))  # wet
    albedo = (1 + 0.14 * rough.sum(1, keepdims=True)) * tint * [0.23, 0.21, 0.195]
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return points, normals, albedo, smoothstep(-0.9, 0.6, points[:, 2] + 0.3)


def board(rng, dense, corner, along, across, albedo, planks=0, taper=0.0):
    """Lay a board, or a wall of so many planks, that narrows by `taper` on its way across."""
    along, across = np.array(along, float), np.array(across, float)
    normal = np.cross(along, across)
    count = int(np.linalg.norm(normal) * dense) + 400
    normal *= np.sign(normal @ [-0.2, -1, 0.9]) / np.linalg.norm(normal)
    u, v = rng.random((2, count))
    plank = np.floor(v * planks)
    tone = 0.1 * np.sin(37 * u + 5.1 * plank) + 0.3 * (plank * 0.618 % 1) - 0.15
    tone = 1 + (planks > 0) * tone
    tone *= np.where((planks > 0) & (v * planks % 1 < 0.14), 0.45, rng.uniform(0.88, 1.12, count))
    points = (0.5 + (u - 0.5) * (1 - taper * v))[:, None] * along + v[:, None] * across + corner
    return points, np.tile(normal, (count, 1)), tone[:, None] * albedo, np.ones(count)


def cabin(rng, dense):
    """Build a red cabin with lit windows, white trim and a shingle roof."""
    red, white = (0.27, 0.042, 0.028), (0.78, 0.74, 0.68)
    stone, slate = (0.2, 0.19, 0.18), (0.11, 0.11, 0.13)
    boards = [
        ((0, 0, 0), (6.2, 0, 0), (0, 0, 2.9), red, 14),
        ((0, 0, 0), (0, 7.6, 0), (0, 0, 2.9), red, 14),
        ((0, 0, 2.9), (6.2, 0, 0), (0, 0, 2.7), red, 13, 1.0),
        ((-0.1, -0.1, -0.8), (6.4, 0, 0), (0, 0, 0.95), stone, 3),
        ((-0.1, -0.1, -0.8), (0, 7.8, 0), (0, 0, 0.95), stone, 3),
        ((2.45, -0.06, 0), (1.2, 0, 0), (0, 0, 2.2), white),
        ((2.58, -0.09, 0), (0.94, 0, 0), (0, 0, 2.06), (0.05, 0.13, 0.14), 4),
        ((1.2, 3, 4.0), (0.8, 0, 0), (0, 0, 2.2), stone, 9),
        ((1.2, 3, 4.0), (0, 0.8, 0), (0, 0, 2.2), stone, 9),
    ]
    for east in (0.9, 4.1):
        boards.append(((east - 0.14, -0.05, 0.95), (1.43, 0, 0), (0, 0, 1.5), white))
        boards.append(((east, -0.08, 1.08), (1.15, 0, 0), (0, 0, 1.24), (5.0, 1.9, 0.35)))
        boards.append(((east, -0.12, 1.66), (1.15, 0, 0), (0, 0, 0.09), white))
        boards.append(((east + 0.53, -0.12, 1.08), (0.09, 0, 0), (0, 0, 1.24), white))
    for east, run in ((-0.45, 3.57), (6.65, -3.57)):
        boards.append(((east, -0.6, 2.52), (0, 8.8, 0), (run, 0, 3.1), slate, 16))
        boards.append(((east, -0.64, 2.46), (run, 0, 3.1), (0, 0, 0.22), white))
    return [board(rng, dense, *row) for row in boards]


def rowing_boat(rng, dense):
    """Build a rowing boat: a lofted hull, painted outside and bare inside, and its boards."""
    wood, parts = (0.40, 0.25, 0.12), []
    for port, inner in ((1, 0.0), (-1, 0.0), (1, 0.07), (-1, 0.07)):
        s, v = rng.uniform(-1, 1, int(1.6e5 * dense)), rng.random(int(1.6e5 * dense))

        def hull(s, v, port=port, inner=inner):
            beam = (1 - np.clip(np.abs(np.where(s < 0, 0.84 * s, s)), 0, 1) ** 2.6) ** 0.75
            rail = 0.56 + 0.30 * s**2 + 0.16 * np.clip(s, 0, 1) ** 2
            wide = port * 0.72 * (1 - inner) * beam * np.maximum(v, 0.02) ** 0.45
            return np.stack([2.4 * s, wide, rail * v - 0.12 + inner], 1)

        points = hull(s, v)
        normals = np.cross(hull(s + 0.01, v) - points, hull(s, v + 0.01) - points)
        normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
        normals *= np.sign(normals[:, 1:2]) * port * (-1 if inner else 1)
        paint = np.where(v[:, None] > 0.80, [0.80, 0.76, 0.68], [0.025, 0.11, 0.15])
        paint = (0.7 + 0.2 * np.sin(60 * s))[:, None] * wood if inner else paint
        paint = paint * np.where(v * 6 % 1 < 0.14, 0.55, 1)[:, None]
        parts.append((points, normals, paint, 0.35 + 0.6 * v if inner else np.ones_like(v)))
    boards = [((east, -0.6, 0.3), (0.34, 0, 0), (0, 1.2, 0), wood) for east in (-1.4, -0.1, 1.0)]
    boards += [((-2.39, -0.5, 0.74), (0, 1.0, 0), (0, 0, -0.8), wood, 4, 0.6)]
    for port in (1, -1):  # oars
        boards.append(((0.5, port * 0.5, 0.85), (0, 0.05, 0.04), (-2.1, port * 0.4, -0.18), wood))
        boards.append(((-1.6, port * 0.86, 0.66), (0, 0.12, 0.1), (-0.8, port * 0.15, -0.07), wood))
    return parts + [board(rng, 1.2e5 * dense, *row) for row in boards]


def cape(rng, dense):
    """Furnish the near shore: a wooded cape with a cabin, a boat, rocks and reeds, as points."""
    x, y = rng.uniform([[-6], [84]], [[120], [190]], (2, int(9e5 * dense)))
    lumps, smooth = cloudy(rng, 512, 1.3), cloudy(rng, 512, 1.9)

    def ground(x, y):
        inland = 0.35 * (x - 6 - 6 * tiled(smooth, x, y, 160))
        inland = np.minimum(inland, 0.32 * (y - 93) + 0.03 * x)
        return 3.4 * np.tanh(inland / 5) + 0.35 * tiled(lumps, x, y, 60) * smoothstep(-1, 3, inland)

    base, tuft = ground(x, y), tiled(lumps, x, y, 25)[:, None]
    slope = [base - ground(x + 0.5, y), base - ground(x, y + 0.5), np.full_like(x, 0.5)]
    slope = (slope / np.linalg.norm(slope, axis=0)).T + rng.normal(0, 0.25, (len(x), 3))
    blade = rng.random(len(x)) ** 3 * 0.5 * smoothstep(0.3, 1.0, base)
    grass = (1 + 0.3 * tuft) * [0.20, 0.15, 0.05] - (tuft > 0.5) * [0.07, 0, 0]
    gravel = (1 + 0.3 * tuft) * [0.21, 0.19, 0.17]
    albedo = np.where(base[:, None] < 0.45 + 0.15 * tuft, gravel, grass)
    albedo = np.clip(albedo, 0, 1) * rng.uniform(0.6, 1.3, (len(x), 1))
    turf = np.stack([x, y, base + blade], 1), slope, albedo, 0.6 + 0.4 * smoothstep(0, 0.3, blade)
    floor = ground(np.array([23.0]), np.array([103.0]))[0] + 0.2
    things = [shade([turf]), shade(cabin(rng, 4500 * dense), [21, 101, floor], 0.2)]
    things.append(shade(rowing_boat(rng, dense), [-7.4, 37, 0], 2.5))
    for x, y in rng.uniform([12, 100], [118, 180], (120, 2)):
        foot = ground(np.array([x]), np.array([y]))[0]
        tall = rng.uniform(7, 19)
        if foot > 0.9 and (abs(x / y - 0.235) > 0.075 or y > 122):
            things.append(shade([conifer(rng, tall, int(9e5 * tall * dense / y))], [x, y, foot]))
    for x, y, size in [*ROCKS, *rng.uniform([2, 88, 0.4], [70, 110, 1.5], (60, 3))]:
        if y < 30 or -0.8 < ground(np.array([x]), np.array([y]))[0] < 0.6:
            count = int(6e7 * dense * size / y**2)
            things.append(shade([boulder(rng, lumps, size, count)], [x, y, 0]))
    count = int(1.3e5 * dense)
    stem, t = rng.integers(0, 312, count), rng.random((count, 1))
    root = rng.uniform([-12.5, 21.5], [-9.5, 25], (26, 2)).repeat(12, 0)
    root, lean = root + rng.normal(0, 0.35, (312, 2)), rng.normal(0.25, 0.25, (312, 2))
    reed = root[stem] + lean[stem] * t**2 + rng.normal(0, 0.006, (count, 2))
    reed = np.hstack([reed, t * rng.uniform(0.7, 1.9, (312, 1))[stem]])
    albedo = rng.uniform([0.06, 0.06, 0.015], [0.15, 0.10, 0.035], (312, 3))[stem] * (0.2 + t)
    things.append(shade([(reed, np.tile([-0.7, -0.5, 0.5], (count, 1)), albedo, np.ones(count))]))
    points, color = (np.concatenate(some).astype(np.float32) for some in zip(*things, strict=True))
    order = np.argsort(-points[:, 1])
    return points[order], color[order]


def splat(picture, points, color, eye, scale, horizon):
    """Draw points, the farthest first, into a picture; from under water, their reflection."""
    x, y, z = points.T
    row = horizon - np.sign(eye) * FOCAL * scale * (z - eye) / y
    col = FOCAL * scale * x / y + picture.shape[1] / 2
    seen = (z > 0) & (row >= 0) & (row < len(picture)) & (col >= 0) & (col < picture.shape[1])
    at = row[seen].astype(int), col[seen].astype(int)
    picture[at] = color[seen]


def make_lake(seed=7, scale=2):
    """Render the photograph.

    Args:
        seed: Seed of everything random.
        scale: Pixels rendered along one pixel of the result.

    Returns:
        uint8 array `(640, 960, 3)`.
    """
    valley, rng = Valley(seed, scale), np.random.default_rng(seed)
    horizon, focal, shore = HORIZON * scale, FOCAL * scale, 4 * scale
    above = valley.view(EYE, np.arange(-shore, horizon, dtype=np.float32) + 0.5)[::-1]
    mirror = valley.view(-EYE, np.arange(horizon, dtype=np.float32) + 0.5)
    points, color = cape(rng, scale**2 / 4)
    splat(mirror, points, color, -EYE, scale, 0)

    below = np.arange(shore, 640 * scale - horizon)[:, None] + 0.5 + 0 * valley.side
    water, samples, noise, channels = 0, 8, valley.noise, np.moveaxis(mirror, 2, 0).copy()
    for _ in range(samples):
        down = below + rng.uniform(-0.5, 0.5, below.shape)
        y = focal * EYE / down
        x = (valley.side + rng.uniform(-0.5, 0.5, below.shape) / focal) * y
        breeze = 0.35 + smoothstep(-0.5, 1.2, tiled(noise, x * 0.5, y, 420))
        swell = 0.008 * tiled(noise, 0.35 * x + 0.1 * y, y, 31)
        swell += 0.007 * tiled(noise, 0.45 * x, y + 0.1 * x, 11)
        swell += 0.004 * tiled(noise, 0.6 * x, y, 4.1)
        swell, tilt = breeze * swell, breeze * 0.004 * tiled(noise, x + 50, 0.5 * y, 17)
        side = np.arange(960 * scale) + 2 * tilt * (down + 0.15 * focal)
        at = [np.abs(down + 2 * focal * swell), side]
        seen = [ndimage.map_coordinates(c, at, order=1, mode="nearest") for c in channels]
        gloss = 0.02 + 0.98 * (1 - np.clip(down / focal + 1.5 * swell, 0.01, 1)[..., None]) ** 4
        water += np.stack(seen, -1) * gloss * (0.94 / samples)
        water += (1 - gloss) * [0.010 / samples, 0.040 / samples, 0.055 / samples]
    light = np.concatenate([above, water])
    splat(light, points, color, EYE, scale, horizon)

    light += 0.25 * ndimage.gaussian_filter(np.clip(light - 0.9, 0, 3), (6 * scale, 6 * scale, 0))
    rows, cols = np.mgrid[-1 : 1 : len(light) * 1j, -1 : 1 : light.shape[1] * 1j]
    light *= (0.90 - 0.08 * (rows**2 + cols**2))[..., None]
    # The curve of Narkowicz (2016), which bends highlights as film does.
    film = light * (2.51 * light + 0.03) / (light * (2.43 * light + 0.59) + 0.14)
    film = (np.clip(film, 0, 1) ** (1 / 2.2)).reshape(640, scale, 960, scale, 3).mean((1, 3))
    film += ndimage.gaussian_filter(rng.normal(0, 0.008, (640, 960, 1)), (0.5, 0.5, 0))
    return (np.clip(film, 0, 1) * 255 + 0.5).astype(np.uint8)


PAINTS = {
    "ultramarine": (24, 32, 104), "cobalt": (32, 74, 168), "cerulean": (58, 142, 196),
    "sky": (142, 196, 214), "cream": (246, 234, 190), "cadmium": (250, 196, 32),
    "lemon": (252, 226, 92), "orange": (232, 128, 28), "ochre": (200, 146, 52),
    "sienna": (142, 78, 34), "viridian": (30, 98, 82), "olive": (104, 116, 40),
    "violet": (84, 66, 130), "night": (16, 20, 58), "rust": (176, 70, 36),
}  # fmt: skip
WHIRLS = (  # east, down, reach, force: eddies of the sky; the first is the sun's
    (0.69, 0.25, 0.135, 1.5), (0.27, 0.24, 0.155, -2.5), (0.47, 0.44, 0.075, 1.3),
    (0.94, 0.09, 0.10, -1.3), (0.05, 0.50, 0.09, 1.2), (0.93, 0.46, 0.07, -1.1),
    (0.49, 0.07, 0.07, 1.0),
)  # fmt: skip
HILLS = (  # height of the crest, then its waves (height, frequency, phase), lean and paints
    (0.565, 0.035, 7, 0.5, 0.022, 17, 0.0, 7, "night ultramarine violet cobalt cerulean"),
    (0.615, 0.030, 5, 3.4, 0.012, 19, 1.0, 5, "night viridian cobalt viridian olive cerulean"),
    (0.665, 0.022, 6, 5.3, 0.000, 1, 0.0, 6, "viridian olive olive ochre lemon"),
)
STACKS = ((0.63, 0.765, 0.075), (0.165, 0.85, 0.165), (0.80, 0.925, 0.20))  # east, foot, height
TREES = (  # east, down, reach
    (0.885, 0.615, 0.062), (0.965, 0.60, 0.075), (0.81, 0.64, 0.040), (0.10, 0.655, 0.045),
    (0.035, 0.64, 0.055),
)  # fmt: skip
LAYERS = (  # width and length of the strokes, gap between them, share where nothing happens
    (0.0300, 0.160, 0.0200, 1.0), (0.0175, 0.105, 0.0112, 1.0), (0.0115, 0.062, 0.0098, 0.4),
)  # fmt: skip


def blend(names, position):
    """Mix neighboring paints of a row of names; `position` runs from 0 to 1."""
    row = np.array([PAINTS[name] for name in names.split()], float).T / 255
    return np.stack([np.interp(position, np.linspace(0, 1, len(c)), c) for c in row], -1)


def compose(rng, size):
    """Plan the painting: the paint of each place, and the angle at which the brush runs there.

    A low sun in a whirling sky over hills, a wheat field with stacks, a path and groves.
    """
    y, x = (np.mgrid[0:size, 0:size] + 0.5) / size
    wave = [tiled(cloudy(rng, 256, 2.1), x, y, 1.6) for _ in range(3)]
    fleck = tiled(cloudy(rng, 256, 1.0), x, y, 0.7)

    near = [np.exp(-((x - e) ** 2 + (y - d) ** 2) / reach**2) for e, d, reach, _ in WHIRLS]
    stream = 0.8 * y + 0.03 * wave[0] + 0.04 * np.sin(6.5 * x + 3 * y + 1)
    stream += sum(0.55 * w[3] * w[2] * close for w, close in zip(WHIRLS, near, strict=True))
    slope_y, slope_x = np.gradient(stream)
    angle = np.arctan2(-slope_x, slope_y)  # along the stream, and inwards in the eddies
    angle += sum(0.3 * np.sign(w[3]) * n for w, n in zip(WHIRLS[1:], near[1:], strict=True))
    band = 0.4 + 0.4 * np.sin(34 * stream + 1.3 * wave[1] + 2) + 0.1 * (fleck + wave[2])
    band = np.clip(band + 0.75 * np.clip(y - 0.33, -0.2, 0.3), 0, 1)
    paint = blend("night ultramarine ultramarine cobalt cobalt cerulean cerulean sky cream", band)

    sun_x, sun_y = WHIRLS[0][:2]
    away, around = np.hypot(x - sun_x, y - sun_y) + 0.004 * fleck, np.arctan2(y - sun_y, x - sun_x)
    halo = (away + 0.010 * np.sin(9 * around + 60 * away) + 0.006 * wave[1]) / 0.26
    rays = "cream lemon cadmium orange cadmium lemon cream sky lemon cream sky cerulean cobalt"
    paint += (blend(rays, halo) - paint) * smoothstep(0.27, 0.13, away + 0.03 * wave[1])[..., None]
    hold = smoothstep(0.26, 0.10, away)  # angles are mixed doubled: a stroke has no front
    ring = np.exp(2j * (around + np.pi / 2 + 0.25))
    angle = np.angle((1 - hold) * np.exp(2j * angle) + hold * ring) / 2

    def lay(mask, names, light, direction):
        paint[mask] = blend(names, np.clip(light, 0, 1)[mask])
        angle[mask] = np.broadcast_to(direction, mask.shape)[mask]

    for top, high, often, phase, high2, often2, phase2, lean, names in HILLS:
        crest = top + high * np.sin(often * x + phase) + high2 * np.sin(often2 * x + phase2)
        light = 0.48 + 0.28 * np.sin(60 * (y - crest) + lean * x + 1.5 * wave[0])
        run = np.arctan(1.2 * size * np.gradient(crest, axis=1))
        run += 0.5 * np.sin(3 * lean * x + 30 * (y - crest))
        lay(y > crest, names, light + 0.16 * fleck - 0.9 * (y - crest), run)

    edge = 0.715 + 0.018 * np.sin(5 * x + 1.2)
    deep = np.clip((y - edge) / (1 - edge), 0, 1)
    ripe = 0.47 + 0.20 * np.sin((x - 0.42) / (0.10 + 0.6 * deep) * 26 + 1.2 * wave[0])
    ripe += 0.17 * fleck + 0.15 * wave[1] + 0.12 * np.sin(23 * deep + 2 * wave[2])
    lean = 0.9 * (x - 0.42) / (0.3 + deep) + 0.35 * wave[0] + 0.25 * np.sin(9 * x + 5 * y)
    wheat = "viridian olive sienna ochre orange cadmium cadmium lemon cream"
    lay(y > edge, wheat, ripe, lean - np.pi / 2)
    path = 0.42 + 0.10 * np.sin(7.5 * (1 - deep) ** 1.6) * deep - 0.05 * deep
    across = (x - path) / (0.012 + 0.10 * deep**1.3)
    run = np.arctan2(1, size * np.gradient(path, axis=0))
    light = 0.5 + 0.42 * across + 0.08 * fleck
    lay((y > edge) & (np.abs(across) < 1), "violet sky cream cream sky rust violet", light, run)

    for east, foot, tall in STACKS:  # u runs toward the sun, v upwards
        sunny = np.sign(sun_x - east)
        u, v = sunny * (x - east) / (0.60 * tall), (foot - y) / tall
        shadow = ((u + 1.2) / 1.5) ** 2 + ((v + 0.02) / 0.2) ** 2 < 1
        lay(shadow, "night ultramarine violet cobalt", 0.5 + 0.3 * fleck, 0.05)
        inside = np.abs(u) < np.where(v < 0.5, 0.92 + 0.2 * v, 2.04 * (1 - v))
        light = 0.42 + 0.42 * u + 0.12 * (v > 0.5) + 0.09 * fleck
        run = np.where(v > 0.45, sunny * np.sign(u) * 0.95, np.pi / 2 + 0.3 * u)
        straw = "night ultramarine violet violet sienna rust rust orange cream"
        lay(inside & (v > -0.12 * (1 - u**2)), straw, light, run)
    for east, down, reach in TREES:
        u, v = (x - east) / reach, (y - down) / (1.25 * reach)
        light = 0.40 - 0.28 * v + 0.5 * (sun_x - east) * u + 0.16 * fleck
        run = np.arctan2(v - 1.1, u) + 0.5 * np.sin(9 * u + 7 * v)
        crown = np.hypot(u, v) + 0.10 * (fleck + wave[2]) < 1
        lay(crown, "night night viridian viridian olive olive ochre", light, run)
    return np.clip(paint, 0, 1), angle


def brush(rng, canvas, relief, plan, starts, width, length):
    """Draw curved strokes from many starts, each of bristles that carry their own paint.

    `canvas` and `relief`, rows of all pixels of a square, change in place; lengths are in pixels.
    """
    (paint, angle), size, half_way = plan, round(len(canvas) ** 0.5), 4
    hairs = ndimage.gaussian_filter(rng.normal(size=(512, 512)), (9, 0.75), mode="wrap")
    hairs = (hairs / hairs.std()).astype(np.float32)
    s = np.linspace(0, 1, int(1.35 * length / 0.9), dtype=np.float32)[:, None]  # along
    t = np.linspace(-1, 1, int(1.3 * width / 0.75), dtype=np.float32)[None]  # across
    joint = np.minimum((s[:, 0] * 2 * half_way).astype(int), 2 * half_way - 1)
    part = (2 * half_way * s[:, 0] - joint)[None, :, None]

    def look(field, at):
        row, col = np.clip((at * len(field) / size).astype(int), 0, len(field) - 1).T
        return field[row, col]

    for group in np.array_split(starts, len(starts) // 90 + 1):
        n = len(group)
        wide = (width * rng.uniform(0.65, 1.3, (n, 1, 1))).astype(np.float32)
        reach = length * rng.uniform(0.55, 1.35, (n, 1)) / (2 * half_way)
        first = look(angle, group) + rng.normal(0, 0.10, n)
        spine = [group]
        for sign in (-1, 1):
            at, heading = group, first
            for _ in range(half_way):
                turn = look(angle, at) - heading
                heading = heading + np.clip((turn + np.pi / 2) % np.pi - np.pi / 2, -0.5, 0.5)
                at = at + sign * reach * np.stack([np.sin(heading), np.cos(heading)], 1)
                spine = [at, *spine] if sign < 0 else [*spine, at]
        spine = np.stack(spine, 1).astype(np.float32)
        way = np.gradient(spine, axis=1)
        way /= np.linalg.norm(way, axis=2, keepdims=True) + 1e-9
        along = spine[:, joint] * (1 - part) + spine[:, joint + 1] * part
        aside = (way[:, joint] * (1 - part) + way[:, joint + 1] * part)[..., ::-1] * [1, -1]

        seed, k = rng.integers(0, 512, (2, n, 1, 1)), np.arange(len(t[0]))
        hair = hairs[(seed[0] + (0.5 * length * s).astype(int)) % 512, (seed[1] + k) % 512]
        ragged = hairs[(seed[0] + 77) % 512, (seed[1] + 191 + k) % 512]
        wet = (s > 0.04 + 0.03 * ragged) & (s < 0.93 + 0.07 * ragged - 0.05 * t**2)
        wet &= hair > 1.9 * s**2.5 - 2.85 + 0.6 * (np.abs(t) > 0.85)
        swell = np.clip(1 - (2 * s - 1) ** 6, 0, 1) ** 0.5 * (0.86 + 0.05 * hair[..., :1])
        half = t * swell * wide / 2
        row = (along[..., :1] + aside[..., :1] * half).astype(np.int32)
        col = (along[..., 1:] + aside[..., 1:] * half).astype(np.int32)
        wet &= (row >= 0) & (row < size) & (col >= 0) & (col < size)
        spot, owner = row[wet] * size + col[wet], np.nonzero(wet)[0]

        jitter = rng.normal(0, 0.05, (2, n, 1)) + rng.normal(0, 0.04, (2, n, 3))
        first, second = np.clip(look(paint, group) + jitter, 0, 1).astype(np.float32)
        stray = blend("cream night cobalt ochre", rng.integers(0, 4, n) / 3)
        second += (stray - second) * rng.choice([0, 0.12, 0.35], (n, 1), p=[0.5, 0.3, 0.2])
        mix = np.clip(0.5 + 0.45 * hair + 0.25 * ragged, 0, 1)[wet][:, None]
        canvas[spot] = first[owner] * (1 - mix) + second[owner] * mix
        thick = 0.55 + 0.20 * hair + 0.35 * smoothstep(0.6, 0.92, np.abs(t))
        thick = (thick + 0.5 * smoothstep(0.75, 0.95, s) * (1 - t**2)) * wide**0.6
        relief[spot] = 0.45 * relief[spot] + thick[wet]


def make_brushwork(seed=11, size=768, scale=2):
    """Paint the painting.

    Args:
        seed: Seed of everything random.
        size: Side in pixels.
        scale: Pixels painted along one pixel of the result.

    Returns:
        uint8 array `(size, size, 3)`.
    """
    rng, full = np.random.default_rng(seed), size * scale
    plan = compose(rng, size)
    canvas = np.full((full**2, 3), np.array(PAINTS["sienna"]) / 255, np.float32)
    relief = np.zeros(full**2, np.float32)
    detail = ndimage.gaussian_gradient_magnitude(plan[0].mean(2), 3)
    detail /= np.quantile(detail, 0.9)
    for width, length, gap, least in LAYERS:
        starts = np.stack(np.meshgrid(*[np.arange(0, 1 + gap, gap)] * 2), -1).reshape(-1, 2)
        starts += rng.uniform(-gap, gap, starts.shape)
        row, col = np.clip(starts * size, 0, size - 1).astype(int).T
        starts = starts[rng.random(len(starts)) < np.maximum(least, detail[row, col])]
        starts = rng.permutation(starts) * full
        brush(rng, canvas, relief, plan, starts, width * full, length * full)
    relief = ndimage.gaussian_filter(relief.reshape(full, full), 0.4 * scale) * scale**0.4
    facing = 0.7 * sum(np.gradient(relief))  # the light comes from the upper left
    film = canvas.reshape(full, full, 3) * (1 + 0.30 * np.tanh(0.9 * facing))[..., None]
    film = film + np.clip(facing - 0.5, 0, 2)[..., None] * 0.05
    film = np.clip(film, 0, 1).reshape(size, scale, size, scale, 3).mean((1, 3))
    return (film * 255 + 0.5).astype(np.uint8)


def save_picture(picture, path, most_bytes=250_000):
    """Write a JPEG of the best quality, up to 95, that takes no more than `most_bytes`."""
    for quality in range(95, 50, -1):
        file = io.BytesIO()
        Image.fromarray(picture).save(file, "JPEG", quality=quality, progressive=True)
        if file.tell() <= most_bytes:
            break
    path.write_bytes(file.getvalue())


if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "tfstyle/pictures")
    folder.mkdir(parents=True, exist_ok=True)
    save_picture(make_lake(), folder / "lake.jpg")
    save_picture(make_brushwork(), folder / "brushwork.jpg")
