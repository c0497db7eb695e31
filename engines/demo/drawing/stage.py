"""Where the head is: the frame, the idle motion, and the box that follows it."""

import math
from dataclasses import dataclass

WIDTH, HEIGHT, FPS, FRAMES, SEED = 1280, 720, 25, 125, 7
HEAD = (640.0, 300.0)  # where the head's origin rests in the frame


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
    return HEAD[0] + p.x + c * x - s * (y - 160), HEAD[1] + p.y + 160 + s * x + c * (y - 160)


def place_head(ctx, p):
    """Moves the origin to the head's; it turns about the neck, 160 px below."""
    ctx.translate(HEAD[0] + p.x, HEAD[1] + p.y + 160)
    ctx.rotate(p.tilt)
    ctx.scale(p.scale, p.scale)
    ctx.translate(0, -160)
