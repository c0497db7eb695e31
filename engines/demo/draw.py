"""Draws the demo avatar: one friendly, invented person, head and shoulders, 1280x720, with pycairo.

`frame(pose, code)` is a pure function of its arguments and `SEED`: same picture every time, on every machine with
the same cairo. `pose(i)` is the idle motion of loop frame i. The parts are in `drawing/`.
"""

import functools

import cairo
import numpy as np

from articulation import REST
from drawing.face import head
from drawing.hair import back_hair
from drawing.mouth import GAP_PX, MOUTH_Y, lip_gap_px
from drawing.stage import FPS, FRAMES, HEIGHT, SEED, WIDTH, Pose, box, in_frame, place_head, pose
from drawing.surroundings import backdrop, body

__all__ = ["FPS", "FRAMES", "GAP_PX", "HEIGHT", "MOUTH_Y", "WIDTH", "Pose", "box", "frame", "in_frame", "lip_gap_px", "pose"]


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


if __name__ == "__main__":
    import sys

    import cv2

    cv2.imwrite(sys.argv[1] if len(sys.argv) > 1 else "frame.png", frame(pose(0)))
