"""A simply drawn, friendly face: the frames of the stand-in avatar."""

from __future__ import annotations

import math

from PIL import Image, ImageDraw, ImageFilter

# Drawn this much larger and scaled down, which is Pillow's way to smooth edges.
OVERSAMPLE = 2

WALL_TOP, WALL_BOTTOM = (196, 214, 224), (142, 168, 188)
SKIN, SHADE, HAIR = (244, 206, 176), (226, 178, 146), (92, 62, 48)
SHIRT, LIP, MOUTH, DARK = (58, 110, 140), (190, 92, 90), (110, 40, 46), (60, 42, 38)
CHEEK = (238, 170, 150)


def wall(size: tuple[int, int]) -> Image.Image:
    """The background: a vertical gradient with a soft round light."""
    width, height = size
    column = Image.linear_gradient("L").resize(size)
    picture = Image.composite(Image.new("RGB", size, WALL_BOTTOM), Image.new("RGB", size, WALL_TOP), column)
    light = Image.new("L", size, 0)
    centre, radius = (width * 0.5, height * 0.42), height * 0.45
    box = (centre[0] - radius, centre[1] - radius, centre[0] + radius, centre[1] + radius)
    ImageDraw.Draw(light).ellipse(box, fill=70)
    light = light.filter(ImageFilter.GaussianBlur(height * 0.08))
    return Image.composite(Image.new("RGB", size, (255, 255, 250)), picture, light)


def draw(size: tuple[int, int], phase: float) -> tuple[Image.Image, list[int]]:
    """One frame, and the half-open square around the lower face.

    `phase` runs 0..1 over a breath: the head sways, nods and blinks once.
    """
    big = (size[0] * OVERSAMPLE, size[1] * OVERSAMPLE)
    unit = big[1] / 720
    cx = big[0] / 2 + 14 * unit * math.sin(2 * math.pi * phase)
    cy = big[1] * 0.43 + 6 * unit * math.cos(4 * math.pi * phase)
    picture = wall(size).resize(big)
    pen = ImageDraw.Draw(picture)

    def oval(x, y, rx, ry, fill, **more):
        pen.ellipse((cx + (x - rx) * unit, cy + (y - ry) * unit,
                     cx + (x + rx) * unit, cy + (y + ry) * unit), fill=fill, **more)

    def arc(x, y, rx, ry, start, end, fill, width):
        pen.arc((cx + (x - rx) * unit, cy + (y - ry) * unit, cx + (x + rx) * unit,
                 cy + (y + ry) * unit), start, end, fill=fill, width=round(width * unit))

    body = big[0] / 2
    pen.rounded_rectangle((body - 250 * unit, cy + 235 * unit, body + 250 * unit, big[1] + 200 * unit),
                          radius=120 * unit, fill=SHIRT)
    pen.rounded_rectangle((cx - 58 * unit, cy + 120 * unit, cx + 58 * unit, cy + 275 * unit),
                          radius=50 * unit, fill=SHADE)
    oval(0, -40, 172, 196, HAIR)
    for side in (-1, 1):
        oval(side * 148, 20, 24, 38, SHADE)
    oval(0, 10, 146, 186, SKIN)
    pen.pieslice((cx - 150 * unit, cy - 190 * unit, cx + 150 * unit, cy + 60 * unit), 185, 355, fill=HAIR)
    oval(0, -62, 128, 74, SKIN)
    blink = abs(phase - 0.6) < 0.04
    for side in (-1, 1):
        arc(side * 58, -48, 36, 20, 200, 340, HAIR, 8)
        if blink:
            arc(side * 58, -14, 24, 12, 20, 160, DARK, 5)
        else:
            oval(side * 58, -12, 25, 19, (252, 250, 246))
            oval(side * 58, -11, 14, 15, (86, 118, 92))
            oval(side * 58, -11, 7, 8, (24, 20, 20))
            oval(side * 58 + 4, -16, 4, 4, (255, 255, 255))
        oval(side * 88, 62, 28, 18, CHEEK)
    arc(0, 34, 18, 16, 20, 160, SHADE, 7)
    # Lips a little apart, smiling.
    pen.chord((cx - 52 * unit, cy + 66 * unit, cx + 52 * unit, cy + 128 * unit), 12, 168, fill=LIP)
    pen.chord((cx - 42 * unit, cy + 78 * unit, cx + 42 * unit, cy + 118 * unit), 16, 164, fill=MOUTH)

    half = round(128 * unit / OVERSAMPLE)
    x, y = round(cx / OVERSAMPLE), round((cy + 78 * unit) / OVERSAMPLE)
    return picture.resize(size, Image.Resampling.LANCZOS), [x - half, y - half, x + half, y + half]
