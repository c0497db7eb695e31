"""Pictures to and from the generator, exactly as lipsyncd's recipe says (OpenCV's bicubic, bytes, BGR)."""

import cv2
import numpy as np

SIZE, BORDER = 320, 4
CROP = SIZE + 2 * BORDER
MASK = (5, 5, 310, 305)  # x, y, width, height inside the 320x320 picture, painted black


def crop(frame, box):
    """The face box resized to 328x328 bytes."""
    x0, y0, x1, y1 = box
    return cv2.resize(frame[y0:y1, x0:x1], (CROP, CROP), interpolation=cv2.INTER_CUBIC)


def inner(crop328):
    """The 320x320 the generator sees."""
    return crop328[BORDER:-BORDER, BORDER:-BORDER]


def masked(picture):
    """The same with the mask painted black."""
    x, y, width, height = MASK
    out = picture.copy()
    out[y : y + height, x : x + width] = 0
    return out


def generator_input(crop328):
    """`[6, 320, 320]` float32 in 0..1: reference, masked reference."""
    picture = inner(crop328)
    both = np.concatenate([picture, masked(picture)], 2)
    return np.ascontiguousarray(both.transpose(2, 0, 1)).astype(np.float32) / 255


def paste(frame, box, crop328, output):
    """A copy of `frame` with the generator's `[3, 320, 320]` output written over the box."""
    x0, y0, x1, y1 = box
    picture = (np.clip(output, 0, 1) * 255).astype(np.uint8).transpose(1, 2, 0)
    patch = crop328.copy()
    patch[BORDER:-BORDER, BORDER:-BORDER] = picture
    out = frame.copy()
    out[y0:y1, x0:x1] = cv2.resize(patch, (x1 - x0, y1 - y0), interpolation=cv2.INTER_CUBIC)
    return out


def ping_pong(index, count):
    """Loop frame shown at video frame `index`: 0 1 .. n-1 n-2 .. 1 0 1 .."""
    at = index % (2 * count - 2) if count > 1 else 0
    return at if at < count else 2 * count - 2 - at
