"""The head from behind the ears to the brows, mouth and hair included."""

import math

from .brush import bezier, glow, linear, mirrored, radial, soft_stroke
from .colours import BLUSH, HAIR, HAIR_DARK, IRIS, SKIN, SKIN_LIGHT, SKIN_SHADE
from .hair import front_hair
from .mouth import JAW_PX, mouth


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
