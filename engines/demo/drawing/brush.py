"""What pycairo lacks: gradients in one call, soft ellipses and lines, mirrored halves."""

import math

import cairo


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


def bezier(u, a, b, c, d):
    return a * (1 - u) ** 3 + 3 * b * u * (1 - u) ** 2 + 3 * c * u * u * (1 - u) + d * u**3
