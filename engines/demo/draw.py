"""Draws the demo avatar: one friendly, invented person, head and shoulders, 1280x720, with pycairo.

`frame(pose, code)` is a pure function of its arguments and `SEED`: same picture every time, on every machine with
the same cairo. `pose(i)` is the idle motion of loop frame i. Coordinates inside the head are pixels of the frame at
scale 1, origin between nose and eyes, y down.
"""

import functools
import math
from dataclasses import dataclass

import cairo
import numpy as np

from articulation import REST

WIDTH, HEIGHT, FPS, FRAMES, SEED = 1280, 720, 25, 125, 7
HEAD = (640.0, 300.0)  # where the head's origin rests in the frame
MOUTH_Y = 89.0  # the lips' seam, head coordinates
GAP_PX = 34.0  # lip gap at open = 1
JAW_PX = 14.0  # chin drop at jaw = 1
CORNER_PX = -5.0  # the corners sit above the seam: a slight smile

SKIN = (0.925, 0.735, 0.615)
SKIN_LIGHT = (0.985, 0.845, 0.745)
SKIN_SHADE = (0.730, 0.480, 0.390)
BLUSH = (0.900, 0.450, 0.400)
LIP = (0.770, 0.345, 0.325)
LIP_SHADE = (0.575, 0.205, 0.205)
LIP_LIGHT = (0.930, 0.560, 0.520)
MOUTH_DARK = (0.165, 0.040, 0.050)
TEETH = (0.965, 0.945, 0.905)
TONGUE = (0.700, 0.330, 0.375)
HAIR = (0.235, 0.125, 0.090)
HAIR_LIGHT = (0.560, 0.330, 0.210)
HAIR_DARK = (0.110, 0.055, 0.045)
IRIS = (0.290, 0.430, 0.330)
WOOL = (0.130, 0.430, 0.460)
WOOL_LIGHT = (0.260, 0.600, 0.610)
WOOL_SHADE = (0.050, 0.230, 0.270)


@dataclass(frozen=True)
class Pose:
    """One idle moment: head offset and tilt, breath (0..1), eyelids (0 open..1 shut), gaze in pixels."""

    x: float = 0.0
    y: float = 0.0
    tilt: float = 0.0  # radians
    scale: float = 1.0
    breath: float = 0.0
    lids: float = 0.0
    gaze: float = 0.0


def pose(index):
    """Idle pose of loop frame `index` in 0..FRAMES. Played ping-pong, so its ends need not meet."""
    t = index / (FRAMES - 1)
    wave = lambda cycles, phase: math.sin(2 * math.pi * (cycles * t + phase))
    blink = max(math.exp(-(((index - at) / 2.0) ** 2) * 1.1) for at in (31, 84, 90))
    return Pose(
        x=4.5 * wave(0.9, 0.02) + 1.2 * wave(2.1, 0.3),
        y=2.2 * wave(1.3, 0.2) + 0.8 * wave(3.0, 0.1),
        tilt=math.radians(1.1) * wave(0.8, 0.1) + math.radians(0.4) * wave(1.9, 0.6),
        scale=1.0 + 0.008 * wave(1.1, 0.4),
        breath=0.5 - 0.5 * math.cos(2 * math.pi * 1.5 * t),
        lids=1.0 if blink > 0.75 else blink,
        gaze=1.6 * wave(0.7, 0.55),
    )


def box(p):
    """The face box `[x0, y0, x1, y1]` (half-open, whole pixels, square) that follows the head."""
    size = round(330 * p.scale)
    x, y = in_frame(p, 0.0, 24.0)
    x0, y0 = round(x - size / 2), round(y - size / 2)
    return [x0, y0, x0 + size, y0 + size]


def in_frame(p, x, y):
    """A point of the head in frame pixels."""
    c, s = math.cos(p.tilt) * p.scale, math.sin(p.tilt) * p.scale
    return HEAD[0] + p.x + c * x - s * (y - 160) , HEAD[1] + p.y + 160 + s * x + c * (y - 160)


def frame(p, code=REST, area=None):
    """The picture as BGR bytes `[height, width, 3]`; `area = [x0, y0, x1, y1]` draws only that part of it."""
    x0, y0, x1, y1 = area or (0, 0, WIDTH, HEIGHT)
    surface = cairo.ImageSurface(cairo.FORMAT_RGB24, x1 - x0, y1 - y0)
    ctx = cairo.Context(surface)
    ctx.translate(-x0, -y0)
    ctx.set_source_surface(backdrop(), 0, 0)
    ctx.paint()
    ctx.save()
    place_head(ctx, p)
    back_hair(ctx)
    ctx.restore()
    body(ctx, p)
    ctx.save()
    place_head(ctx, p)
    head(ctx, p, [float(v) for v in code])
    ctx.restore()
    surface.flush()
    data = np.frombuffer(surface.get_data(), np.uint8).reshape(y1 - y0, surface.get_stride() // 4, 4)
    picture = data[:, : x1 - x0, :3].astype(np.int16) + grain()[y0:y1, x0:x1, None]
    return np.clip(picture, 0, 255).astype(np.uint8)


@functools.cache
def grain():
    """Faint fixed film grain, `[HEIGHT, WIDTH]`, so that flat areas are not flat."""
    noise = np.random.default_rng(SEED).normal(0, 1.0, (HEIGHT, WIDTH))
    noise = (noise + np.roll(noise, 1, 0) + np.roll(noise, 1, 1) + np.roll(noise, (1, 1), (0, 1))) / 2
    return np.rint(noise * 0.9).astype(np.int16)


# --- helpers -------------------------------------------------------------------------------------------------


def place_head(ctx, p):
    """Moves the origin to the head's; it turns about the neck, 160 px below."""
    ctx.translate(HEAD[0] + p.x, HEAD[1] + p.y + 160)
    ctx.rotate(p.tilt)
    ctx.scale(p.scale, p.scale)
    ctx.translate(0, -160)


def linear(x0, y0, x1, y1, *stops):
    """Linear gradient of `(offset, rgb[, alpha])` stops."""
    return with_stops(cairo.LinearGradient(x0, y0, x1, y1), stops)


def radial(x, y, radius, *stops):
    """Radial gradient from its centre to `radius`."""
    return with_stops(cairo.RadialGradient(x, y, 0, x, y, radius), stops)


def with_stops(gradient, stops):
    for offset, colour, *alpha in stops:
        gradient.add_color_stop_rgba(offset, *colour, alpha[0] if alpha else 1.0)
    return gradient


def glow(ctx, x, y, rx, ry, colour, alpha):
    """A soft ellipse of light or shade that fades to nothing at its rim (smooth, so no ring shows)."""
    ctx.save()
    ctx.translate(x, y)
    ctx.scale(rx, ry)
    fade = [(r / 8, colour, alpha * (math.cos(math.pi * r / 8) + 1) / 2) for r in range(9)]
    ctx.set_source(radial(0, 0, 1, *fade))
    ctx.rectangle(-1, -1, 2, 2)
    ctx.fill()
    ctx.restore()


def soft_stroke(ctx, path, colour, alpha, width, layers=5):
    """Strokes `path()` in widening faint layers: a line with soft edges."""
    ctx.set_line_cap(cairo.LINE_CAP_ROUND)
    for i in range(layers):
        ctx.set_source_rgba(*colour, alpha / layers * 1.6)
        ctx.set_line_width(width * (i + 1) / layers)
        path()
        ctx.stroke()


def mirrored(ctx, draw):
    """Runs `draw()` for the right half and, flipped, for the left."""
    for side in (1, -1):
        ctx.save()
        ctx.scale(side, 1)
        draw(side)
        ctx.restore()


# --- surroundings --------------------------------------------------------------------------------------------


@functools.cache
def backdrop():
    """A dim room out of focus."""
    surface = cairo.ImageSurface(cairo.FORMAT_RGB24, WIDTH, HEIGHT)
    ctx = cairo.Context(surface)
    ctx.set_source(linear(0, 0, WIDTH, HEIGHT, (0, (0.83, 0.86, 0.87)), (0.55, (0.70, 0.76, 0.80)), (1, (0.46, 0.54, 0.62))))
    ctx.paint()
    rng = np.random.default_rng(SEED)
    for _ in range(26):
        x, y, r = rng.uniform(0, WIDTH), rng.uniform(0, HEIGHT * 0.9), rng.uniform(40, 130)
        tone = [(1.0, 0.93, 0.80), (0.95, 0.97, 1.0), (0.40, 0.55, 0.62)][rng.integers(3)]
        ctx.set_source(radial(x, y, r, (0, tone, 0.16), (0.86, tone, 0.20), (1, tone, 0.0)))
        ctx.arc(x, y, r, 0, 2 * math.pi)
        ctx.fill()
    glow(ctx, 330, 170, 560, 460, (1.0, 0.97, 0.90), 0.55)
    glow(ctx, 1150, 700, 520, 420, (0.16, 0.24, 0.32), 0.45)
    return surface


def body(ctx, p):
    """Neck, shoulders and a knitted jumper; breath lifts them by up to 3 px."""
    ctx.save()
    ctx.translate(HEAD[0] + p.x * 0.25, HEAD[1] - 3.0 * p.breath)
    # neck
    ctx.move_to(-62, 90)
    ctx.curve_to(-60, 170, -66, 205, -120, 240)
    ctx.line_to(120, 240)
    ctx.curve_to(66, 205, 60, 170, 62, 90)
    ctx.close_path()
    ctx.set_source(linear(-70, 0, 70, 0, (0, SKIN_SHADE), (0.3, (0.87, 0.66, 0.54)), (0.6, (0.88, 0.67, 0.55)), (1, (0.66, 0.42, 0.34))))
    ctx.fill_preserve()
    ctx.save()
    ctx.clip()
    glow(ctx, p.x * 0.75, 142, 105, 72, (0.42, 0.20, 0.16), 0.85)
    glow(ctx, 30, 235, 12, 40, SKIN_LIGHT, 0.35)
    glow(ctx, -26, 238, 12, 36, (0.55, 0.32, 0.25), 0.30)
    ctx.restore()
    # jumper
    ctx.move_to(-84, 206)
    ctx.curve_to(-130, 232, -225, 245, -275, 290)
    ctx.curve_to(-320, 330, -335, 400, -342, 440)
    ctx.line_to(342, 440)
    ctx.curve_to(335, 400, 320, 330, 275, 290)
    ctx.curve_to(225, 245, 130, 232, 84, 206)
    ctx.curve_to(60, 262, -60, 262, -84, 206)
    ctx.close_path()
    ctx.set_source(linear(-300, 200, 300, 440, (0, WOOL_LIGHT), (0.42, WOOL), (1, WOOL_SHADE)))
    ctx.fill_preserve()
    ctx.save()
    ctx.clip()
    knit(ctx)
    glow(ctx, -170, 300, 150, 80, WOOL_LIGHT, 0.55)
    glow(ctx, 0, 262, 150, 46, WOOL_SHADE, 0.55)
    glow(ctx, 310, 340, 80, 150, WOOL_SHADE, 0.6)
    ctx.restore()
    # collar
    collar = lambda: (ctx.move_to(-84, 205), ctx.curve_to(-60, 266, 60, 266, 84, 205))
    ctx.set_source(linear(-90, 0, 90, 0, (0, WOOL_LIGHT), (0.5, WOOL), (1, WOOL_SHADE)))
    ctx.set_line_width(20)
    ctx.set_line_cap(cairo.LINE_CAP_BUTT)
    collar()
    ctx.stroke()
    ctx.set_source_rgba(*WOOL_SHADE, 0.30)
    ctx.set_line_width(1.4)
    for i in range(33):
        u = (i + 0.5) / 33
        x = bezier(u, -84, -60, 60, 84)
        y = bezier(u, 205, 266, 266, 205)
        ctx.move_to(x * 0.955, y - 10)
        ctx.line_to(x * 1.045, y + 10)
        ctx.stroke()
    ctx.restore()


def bezier(u, a, b, c, d):
    return a * (1 - u) ** 3 + 3 * b * u * (1 - u) ** 2 + 3 * c * u * u * (1 - u) + d * u**3


def knit(ctx):
    """Faint rows of stitches."""
    ctx.set_line_width(1.6)
    for row in range(24):
        y = 214 + row * 10
        ctx.set_source_rgba(*(WOOL_SHADE if row % 2 else WOOL_LIGHT), 0.16)
        for x in range(-340, 341, 12):
            sag = 26 * (1 - (x / 340) ** 2)
            ctx.move_to(x, y + sag)
            ctx.line_to(x + 6, y + sag + 6)
            ctx.line_to(x + 12, y + sag)
        ctx.stroke()


# --- head ----------------------------------------------------------------------------------------------------


def head(ctx, p, code):
    jaw = JAW_PX * max(code[1], 0.0)
    mirrored(ctx, lambda side: ear(ctx, side))
    skin(ctx, jaw)
    nose(ctx)
    mirrored(ctx, lambda side: eye(ctx, p, side))
    mouth(ctx, code)
    front_hair(ctx)
    mirrored(ctx, lambda side: brow(ctx, side))


def face_path(ctx, jaw):
    ctx.move_to(0, -160)
    ctx.curve_to(82, -160, 119, -108, 119, -40)
    ctx.curve_to(119, 28, 111, 76, 88, 112 + 0.45 * jaw)
    ctx.curve_to(66, 141 + 0.9 * jaw, 34, 158 + jaw, 0, 158 + jaw)
    ctx.curve_to(-34, 158 + jaw, -66, 141 + 0.9 * jaw, -88, 112 + 0.45 * jaw)
    ctx.curve_to(-111, 76, -119, 28, -119, -40)
    ctx.curve_to(-119, -108, -82, -160, 0, -160)
    ctx.close_path()


def skin(ctx, jaw):
    face_path(ctx, jaw)
    ctx.set_source(linear(-119, -60, 119, 90, (0, SKIN_LIGHT), (0.45, SKIN), (0.8, (0.87, 0.66, 0.545)), (1, (0.78, 0.555, 0.45))))
    ctx.fill_preserve()
    ctx.save()
    ctx.clip()
    glow(ctx, -30, -70, 110, 70, SKIN_LIGHT, 0.75)  # forehead
    glow(ctx, 128, 60, 74, 190, SKIN_SHADE, 0.60)  # far side of the face
    glow(ctx, -134, 70, 44, 150, SKIN_SHADE, 0.40)
    glow(ctx, 0, 172 + jaw, 120, 46, SKIN_SHADE, 0.75)  # under the chin
    glow(ctx, 0, -150, 150, 70, (0.60, 0.36, 0.28), 0.55)  # shade of the fringe
    mirrored(ctx, lambda side: glow(ctx, 63, 36, 46, 34, BLUSH, 0.30))
    glow(ctx, -62, 18, 38, 20, (1.0, 0.93, 0.87), 0.45)  # light on the cheekbones
    glow(ctx, 58, 18, 30, 16, (1.0, 0.90, 0.82), 0.25)
    glow(ctx, -3, 138 + 0.95 * jaw, 30, 17, SKIN_LIGHT, 0.60)  # chin
    glow(ctx, 0, 118 + 0.75 * jaw, 34, 9, SKIN_SHADE, 0.38)  # under the lower lip
    mirrored(ctx, lambda side: glow(ctx, 50, -24, 42, 26, (0.72, 0.46, 0.38), 0.30))  # eye sockets
    ctx.restore()
    rim = lambda: face_path(ctx, jaw)
    ctx.save()
    face_path(ctx, jaw)
    ctx.clip()
    soft_stroke(ctx, rim, (0.60, 0.33, 0.26), 0.30, 9, 4)
    ctx.restore()


def ear(ctx, side):
    ctx.move_to(112, -30)
    ctx.curve_to(128, -48, 142, -30, 136, -6)
    ctx.curve_to(132, 14, 124, 32, 110, 30)
    ctx.close_path()
    tone = SKIN if side < 0 else (0.82, 0.60, 0.49)
    ctx.set_source(linear(110, 0, 142, 0, (0, SKIN_SHADE), (0.6, tone), (1, tone)))
    ctx.fill()
    inner = lambda: (ctx.move_to(120, -26), ctx.curve_to(134, -30, 132, -4, 122, 12))
    soft_stroke(ctx, inner, SKIN_SHADE, 0.6, 5)
    ctx.set_source(radial(121, 32, 5, (0, (1.0, 0.95, 0.75)), (0.6, (0.85, 0.68, 0.30)), (1, (0.50, 0.36, 0.10))))
    ctx.arc(122, 33, 4, 0, 2 * math.pi)
    ctx.fill()


def nose(ctx):
    glow(ctx, 13, 14, 13, 44, SKIN_SHADE, 0.34)
    glow(ctx, -4, 4, 8, 46, (1.0, 0.92, 0.85), 0.50)
    glow(ctx, 2, 58, 34, 13, SKIN_SHADE, 0.42)
    glow(ctx, -3, 40, 15, 13, (1.0, 0.90, 0.82), 0.70)
    mirrored(ctx, lambda side: glow(ctx, 18, 46, 10, 11, SKIN_SHADE, 0.30))
    mirrored(ctx, lambda side: soft_stroke(ctx, lambda: (ctx.move_to(22, 38), ctx.curve_to(29, 44, 26, 54, 18, 54)), (0.66, 0.39, 0.31), 0.30, 5.5))
    mirrored(ctx, lambda side: glow(ctx, 10, 54, 7.5, 4.2, (0.36, 0.14, 0.11), 0.85))
    glow(ctx, 0, 69, 7, 11, SKIN_SHADE, 0.28)


def eye(ctx, p, side):
    """One eye; `side` is 1 on the picture's right. The light comes from the left, whatever the side."""
    ctx.translate(51, -22)
    lid = 1.0 - p.lids
    top = -17 * lid + 15 * p.lids
    outline = lambda: (
        ctx.move_to(-25, 3),
        ctx.curve_to(-14, top - 2, 12, top - 4, 26, -1 + 3 * p.lids),
        ctx.curve_to(15, 13, -12, 14, -25, 3),
    )
    if p.lids > 0.02:  # the lid's skin
        ctx.move_to(-26, 3)
        ctx.curve_to(-14, -19, 12, -21, 27, -1)
        ctx.curve_to(15, 15, -12, 16, -26, 3)
        ctx.set_source(linear(0, -18, 0, 12, (0, (0.80, 0.57, 0.47)), (1, (0.90, 0.70, 0.59))))
        ctx.fill()
    ctx.save()
    outline()
    ctx.close_path()
    ctx.clip()
    ctx.set_source(linear(0, -18, 0, 14, (0, (0.66, 0.63, 0.64)), (0.45, (0.95, 0.94, 0.93)), (1, (0.90, 0.87, 0.86))))
    ctx.paint()
    x, y = p.gaze * side + (-0.5), -3.0
    ctx.set_source(radial(x, y + 3, 13.5, (0, (0.52, 0.64, 0.42)), (0.55, IRIS), (0.86, (0.16, 0.25, 0.20)), (1, (0.07, 0.11, 0.10))))
    ctx.arc(x, y, 12.8, 0, 2 * math.pi)
    ctx.fill()
    ctx.set_source_rgba(0.65, 0.75, 0.50, 0.25)
    ctx.set_line_width(0.7)
    for k in range(20):
        a = 2 * math.pi * k / 20 + 0.1
        ctx.move_to(x + 6 * math.cos(a), y + 6 * math.sin(a))
        ctx.line_to(x + 11 * math.cos(a), y + 11 * math.sin(a))
    ctx.stroke()
    ctx.set_source(radial(x, y, 6, (0, (0.02, 0.02, 0.02)), (0.85, (0.02, 0.02, 0.02)), (1, (0.06, 0.08, 0.06), 0.2)))
    ctx.arc(x, y, 6, 0, 2 * math.pi)
    ctx.fill()
    glow(ctx, 0, top - 2, 30, 12, (0.10, 0.05, 0.05), 0.55)
    ctx.restore()
    if lid > 0.35:
        glow(ctx, x - 4.5 * side, y - 5, 4.4, 4.4, (1, 1, 1), 1.0)
        glow(ctx, x + 5 * side, y + 5, 3.0, 3.0, (1, 1, 1), 0.5)
    upper = lambda: (ctx.move_to(-25, 3), ctx.curve_to(-14, top - 2, 12, top - 4, 27, -2 + 3 * p.lids))
    soft_stroke(ctx, upper, (0.10, 0.05, 0.04), 0.95, 4.6)
    ctx.set_source_rgba(0.10, 0.05, 0.04, 0.85)
    ctx.set_line_width(1.3)
    for k in range(5):  # lashes
        ctx.move_to(15 + 3 * k, -9 * lid + 5 * p.lids + 1.7 * k - 1)
        ctx.rel_curve_to(2, -1.5, 4 + k * 0.5, -3 * lid, 5.5 + k, (-7 + k) * lid + 3 * p.lids)
        ctx.stroke()
    crease = lambda: (ctx.move_to(-22, -9), ctx.curve_to(-12, -25, 12, -27, 27, -11))
    soft_stroke(ctx, crease, (0.58, 0.34, 0.27), 0.55, 3.6)
    below = lambda: (ctx.move_to(-20, 8), ctx.curve_to(-8, 15, 14, 14, 25, 2))
    soft_stroke(ctx, below, (0.50, 0.26, 0.21), 0.40, 2.6)
    glow(ctx, -24, 4, 4, 3, (0.85, 0.50, 0.47), 0.8)


def brow(ctx, side):
    ctx.move_to(24, -56)
    ctx.curve_to(40, -67, 64, -71, 88, -54)
    ctx.curve_to(66, -63, 44, -60, 26, -49)
    ctx.curve_to(21, -49, 21, -54, 24, -56)
    ctx.close_path()
    ctx.set_source(linear(20, 0, 89, 0, (0, HAIR, 0.25), (0.25, HAIR, 0.75), (0.7, HAIR, 0.85), (1, HAIR, 0.55)))
    ctx.fill()
    ctx.set_source_rgba(*HAIR_DARK, 0.40)
    ctx.set_line_width(0.9)
    for k in range(26):
        u = k / 25
        x, y = bezier(u, 23, 40, 62, 84), bezier(u, -51, -62, -67, -56)
        ctx.move_to(x, y + 2 * (1 - u))
        ctx.rel_line_to(3.5 + 3 * u, -5.5 + 6 * u)
    ctx.stroke()


# --- hair ----------------------------------------------------------------------------------------------------


def back_hair(ctx):
    """The bob behind face and neck."""
    ctx.move_to(0, -205)
    ctx.curve_to(120, -205, 168, -130, 164, -30)
    ctx.curve_to(162, 50, 176, 110, 150, 168)
    ctx.curve_to(120, 196, 70, 188, 40, 176)
    ctx.line_to(-40, 176)
    ctx.curve_to(-70, 188, -120, 196, -150, 168)
    ctx.curve_to(-176, 110, -162, 50, -164, -30)
    ctx.curve_to(-168, -130, -120, -205, 0, -205)
    ctx.close_path()
    ctx.set_source(linear(-160, -100, 160, 100, (0, HAIR), (0.5, HAIR_DARK), (1, HAIR_DARK)))
    ctx.fill()
    ctx.set_line_width(1.5)
    for dx, tone, alpha, bend in strands(1, 90):
        x = 158 * dx
        ctx.set_source_rgba(*tone, alpha)
        ctx.move_to(x * 0.75, -120)
        ctx.curve_to(x * 1.05, -40, x * 1.02, 60, x * 0.97 + 6 * bend, 168 + 12 * bend * abs(dx))
        ctx.stroke()


@functools.cache
def strands(which, count):
    """`count` seeded hair strands: place -1..1, colour, opacity, bend -1..1."""
    rng = np.random.default_rng((SEED, which))
    tones = (HAIR_LIGHT, HAIR_DARK, (0.36, 0.20, 0.135))
    return [
        (rng.uniform(-1, 1), tones[rng.integers(3)], rng.uniform(0.10, 0.34), rng.uniform(-1, 1)) for _ in range(count)
    ]


def front_hair(ctx):
    """A side-swept fringe and the locks beside the cheeks."""
    # lock on the picture's left
    lock(ctx, [(-40, -190), (-120, -190), (-158, -120), (-158, -30), (-158, 40), (-166, 90), (-150, 140),
               (-134, 146), (-122, 140), (-120, 128), (-128, 70), (-122, 20), (-117, -36), (-112, -96), (-70, -140), (-34, -152)], 2)
    # lock on its right
    lock(ctx, [(-40, -196), (80, -214), (166, -150), (160, -40), (157, 40), (168, 90), (152, 142),
               (136, 148), (124, 142), (121, 130), (128, 70), (124, 20), (118, -36), (112, -90), (84, -124), (48, -140)], 3)
    # fringe swept from the parting to the right
    ctx.move_to(-62, -168)
    ctx.curve_to(-30, -204, 70, -204, 112, -140)
    ctx.curve_to(128, -112, 126, -74, 121, -52)
    ctx.curve_to(104, -100, 60, -108, 10, -112)
    ctx.curve_to(-30, -116, -56, -134, -62, -168)
    ctx.close_path()
    fill_hair(ctx)
    ctx.save()
    ctx.clip()
    for dx, tone, alpha, bend in strands(4, 70):
        ctx.set_source_rgba(*tone, alpha)
        ctx.set_line_width(1.8)
        lift = 38 * (dx + 1)
        ctx.move_to(-64 + 4 * bend, -166 + 3 * bend)
        ctx.curve_to(-20, -112 - lift, 70, -108 - lift * 0.9, 124, -48 - lift * 0.6)
        ctx.stroke()
    glow(ctx, 6, -152, 60, 22, HAIR_LIGHT, 0.55)
    ctx.restore()


def lock(ctx, points, which):
    """A lock of hair: outline through five curves, then strands along it."""
    ctx.move_to(*points[0])
    for i in range(1, 16, 3):
        ctx.curve_to(*points[i], *points[i + 1], *points[i + 2])
    ctx.close_path()
    fill_hair(ctx)
    ctx.save()
    ctx.clip()
    sign = 1 if points[3][0] > 0 else -1
    ctx.set_line_width(1.8)
    for dx, tone, alpha, bend in strands(which, 60):
        x = sign * (136 + 20 * dx)
        ctx.set_source_rgba(*tone, alpha)
        ctx.move_to(sign * (10 + 30 * dx), -200 + 20 * dx)
        ctx.curve_to(x * 0.95, -170, x, -60, x + 2 * bend, 10)
        ctx.curve_to(x, 60, x + sign * 6, 100, x - sign * 6 + 3 * bend, 150)
        ctx.stroke()
    glow(ctx, sign * 132, -100, 34, 60, HAIR_LIGHT, 0.50 if sign < 0 else 0.30)
    ctx.restore()


def fill_hair(ctx):
    ctx.set_source(linear(-160, -200, 160, 60, (0, (0.33, 0.185, 0.13)), (0.35, HAIR), (1, HAIR_DARK)))
    ctx.fill_preserve()


# --- mouth ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Lips:
    """The mouth's outline in head pixels about the seam's centre, from one articulation code."""

    half: float  # corner distance from the middle
    up: float  # inner edge of the upper lip above the seam
    down: float  # inner edge of the lower lip below it
    upper: float  # thickness of the lips
    lower: float
    corner: float  # height of the corners
    full: float  # 0 pointed corners .. 1 round opening

    @staticmethod
    def of(code):
        gape, jaw, width, rounding = code[0], code[1], code[2], code[3]
        gap = lip_gap_px(code)
        press = max(-gape, 0.0) / 0.3
        spread = max(width, 0.0)
        return Lips(
            half=38 + 7 * width - 7 * rounding - 2.0 * jaw,
            up=0.30 * gap,
            down=0.70 * gap,
            upper=9.5 + 2.0 * rounding - 1.2 * spread - 1.2 * press - 1.0 * min(gap / GAP_PX, 1),
            lower=12.5 + 2.5 * rounding - 1.2 * spread - 1.5 * press - 1.5 * min(gap / GAP_PX, 1),
            corner=CORNER_PX * (1 - 0.9 * min(max(rounding, 0.0), 1.0)),
            full=min(1.0, 0.35 + 0.55 * rounding + 0.2 * jaw),
        )


def lip_gap_px(code):
    """True distance between the lips' inner edges in the middle, in head pixels."""
    return GAP_PX * float(np.clip(code[0], 0.0, 1.1))


def inner_path(ctx, lips):
    h, k = lips.half - 3.5, 0.45 + 0.25 * lips.full
    edge = lips.corner + 0.10 * (lips.down - lips.up)
    ctx.move_to(-h, edge)
    ctx.curve_to(-h * (1 - 0.25 * lips.full) , -lips.up * 1.05, -h * k * 0.9, -lips.up * 1.12 - 0.6, 0, -lips.up)
    ctx.curve_to(h * k * 0.9, -lips.up * 1.12 - 0.6, h * (1 - 0.25 * lips.full), -lips.up * 1.05, h, edge)
    ctx.curve_to(h * (1 - 0.15 * lips.full), lips.down * 0.85, h * k, lips.down, 0, lips.down)
    ctx.curve_to(-h * k, lips.down, -h * (1 - 0.15 * lips.full), lips.down * 0.85, -h, edge)
    ctx.close_path()


def outer_path(ctx, lips):
    h, k = lips.half, 0.42 + 0.2 * lips.full
    top, bottom = -lips.up - lips.upper, lips.down + lips.lower
    edge = lips.corner + 0.10 * (lips.down - lips.up)
    ctx.move_to(-h, edge)
    ctx.curve_to(-h * 0.80, top * 0.55, -h * 0.45, top * 1.10, -7, top * 1.03)
    ctx.curve_to(-3.5, top * 0.99, -2, top + 2.0, 0, top + 2.2)  # the bow
    ctx.curve_to(2, top + 2.0, 3.5, top * 0.99, 7, top * 1.03)
    ctx.curve_to(h * 0.45, top * 1.10, h * 0.80, top * 0.55, h, edge)
    ctx.curve_to(h * 0.86, bottom * 0.75, h * k, bottom, 0, bottom)
    ctx.curve_to(-h * k, bottom, -h * 0.86, bottom * 0.75, -h, edge)
    ctx.close_path()


def mouth(ctx, code):
    lips = Lips.of(code)
    jaw, gap = JAW_PX * max(code[1], 0.0), lips.up + lips.down
    ctx.save()
    ctx.translate(0, MOUTH_Y)
    mirrored(ctx, lambda side: glow(ctx, lips.half + 3, lips.corner + 0.1 * gap, 9, 10, SKIN_SHADE, 0.55))  # corners
    cheek = 0.16 + 0.16 * max(code[2], 0.0)
    mirrored(ctx, lambda side: glow(ctx, lips.half + 13, -20 + 0.1 * gap, 8, 24, SKIN_SHADE, cheek))  # smile fold
    outer = lambda: outer_path(ctx, lips)
    soft_stroke(ctx, outer, (0.70, 0.36, 0.31), 0.35, 5, 4)
    outer()
    top, bottom = -lips.up - lips.upper, lips.down + lips.lower
    ctx.set_source(linear(0, top, 0, bottom, (0, LIP), (0.5 * lips.upper / (bottom - top), (0.70, 0.29, 0.28)),
                          (lips.upper / (bottom - top), LIP_SHADE), (1 - lips.lower / (bottom - top), (0.80, 0.38, 0.355)),
                          (1 - 0.45 * lips.lower / (bottom - top), LIP), (1, (0.66, 0.27, 0.255))))
    ctx.fill_preserve()
    ctx.save()
    ctx.clip()
    glow(ctx, -5, lips.down + lips.lower * 0.48, 19, lips.lower * 0.42, LIP_LIGHT, 0.85)
    glow(ctx, -10, top + lips.upper * 0.42, 13, lips.upper * 0.30, LIP_LIGHT, 0.40)
    mirrored(ctx, lambda side: glow(ctx, lips.half, lips.corner, 12, 12, LIP_SHADE, 0.55))
    ctx.restore()
    if gap > 0.3:
        inside(ctx, lips, code, jaw)
    seam_alpha = 0.95 if gap < 1 else max(0.25, 0.95 - gap / 14)
    edge = lips.corner + 0.10 * (lips.down - lips.up)
    seam = lambda: (ctx.move_to(-lips.half + 2, edge),
                    ctx.curve_to(-lips.half * 0.5, -lips.up * 1.12 - 1.6, -8, -lips.up * 1.05 + 1.0, 0, -lips.up + 0.4),
                    ctx.curve_to(8, -lips.up * 1.05 + 1.0, lips.half * 0.5, -lips.up * 1.12 - 1.6, lips.half - 2, edge))
    soft_stroke(ctx, seam, (0.38, 0.10, 0.10), seam_alpha, 2.6, 4)
    ctx.restore()


def inside(ctx, lips, code, jaw):
    """Throat, tongue and teeth, clipped by the lips' inner edge."""
    upper, lower, tongue = code[4], code[5], code[6]
    ctx.save()
    inner_path(ctx, lips)
    ctx.clip()
    ctx.set_source(linear(0, -lips.up, 0, lips.down, (0, MOUTH_DARK), (0.6, (0.24, 0.06, 0.07)), (1, (0.36, 0.11, 0.12))))
    ctx.paint()
    # tongue: its back rests on the lower jaw, its tip rises with `tongue`
    ty = 16 + 0.9 * jaw - 15 * tongue
    ctx.save()
    ctx.translate(0, ty)
    ctx.scale(24, 15)
    ctx.set_source(radial(-0.1, -0.35, 1.15, (0, (0.80, 0.42, 0.46)), (0.55, TONGUE), (1, (0.42, 0.15, 0.19))))
    ctx.arc(0, 0, 1, 0, 2 * math.pi)
    ctx.fill()
    ctx.restore()
    # lower teeth ride on the jaw
    ly = lips.down + 1.0 - 6.5 * max(lower, 0.0)
    teeth(ctx, ly, ly + 12, lips.half * 0.62, 8, (0.86, 0.83, 0.79), below=True)
    # upper teeth hang from the skull
    uy = -lips.up - 3.0 + 9.5 * max(upper, 0.0)
    teeth(ctx, uy - 16, uy, lips.half * 0.74, 8, TEETH, below=False)
    # the lips' shadow
    soft_stroke(ctx, lambda: inner_path(ctx, lips), (0.10, 0.02, 0.03), 0.55, 7, 5)
    ctx.restore()


def teeth(ctx, top, bottom, half, count, tone, below):
    """A row of `count` teeth between `top` and `bottom`, darker towards the corners."""
    ctx.save()
    edge = bottom if not below else top
    rise = -3.5 if not below else 3.0
    ctx.move_to(-half, edge + rise)
    ctx.curve_to(-half * 0.6, edge + 0.3 * rise, -half * 0.3, edge, 0, edge)
    ctx.curve_to(half * 0.3, edge, half * 0.6, edge + 0.3 * rise, half, edge + rise)
    far = top if not below else bottom
    ctx.line_to(half, far)
    ctx.line_to(-half, far)
    ctx.close_path()
    dim = tuple(0.62 * v for v in tone)
    ctx.set_source(linear(-half, 0, half, 0, (0, dim), (0.28, tone), (0.6, tone), (1, dim)))
    ctx.fill_preserve()
    ctx.clip()
    ctx.set_source(linear(0, top, 0, bottom, (0, (0.45, 0.25, 0.22), 0.55 if not below else 0.0), (0.55, tone, 0.0), (1, (0.45, 0.25, 0.22), 0.15 if not below else 0.5)))
    ctx.paint()
    ctx.set_source_rgba(0.42, 0.27, 0.24, 0.55)
    ctx.set_line_width(0.9)
    for i in range(1, count):
        u = 2 * i / count - 1
        x = half * math.sin(u * math.pi / 2) * 0.98
        ctx.move_to(x, top)
        ctx.line_to(x, bottom)
    ctx.stroke()
    ctx.restore()


if __name__ == "__main__":
    import sys

    import cv2

    cv2.imwrite(sys.argv[1] if len(sys.argv) > 1 else "frame.png", frame(pose(0)))
