"""A bob with a side-swept fringe: outlines filled, then seeded strands."""

import functools

import numpy as np

from .brush import glow, linear
from .colours import HAIR, HAIR_DARK, HAIR_LIGHT
from .stage import SEED


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
