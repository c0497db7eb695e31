"""All that is not the head: a room out of focus, neck, shoulders and a jumper."""

import functools
import math

import cairo
import numpy as np

from .brush import bezier, glow, linear, radial
from .colours import SKIN_LIGHT, SKIN_SHADE, WOOL, WOOL_LIGHT, WOOL_SHADE
from .stage import HEAD, HEIGHT, SEED, WIDTH


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
