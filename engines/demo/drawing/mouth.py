"""The mouth: lips, teeth and tongue from seven articulation numbers (`articulation.PARAMETERS`)."""

import math
from dataclasses import dataclass

import numpy as np

from .brush import glow, linear, mirrored, radial, soft_stroke
from .colours import LIP, LIP_LIGHT, LIP_SHADE, MOUTH_DARK, SKIN_SHADE, TEETH, TONGUE

MOUTH_Y = 89.0  # the lips' seam, head coordinates
GAP_PX = 34.0  # lip gap at open = 1
JAW_PX = 14.0  # chin drop at jaw = 1
CORNER_PX = -5.0  # the corners sit above the seam: a slight smile


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
