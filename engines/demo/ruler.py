"""Reads the lip gap from a frame's pixels, in head pixels: the columns in the middle of the mouth, unturned."""

import math

import cv2
import numpy as np

import draw

SCALE = 4  # samples per head pixel
HALF, ABOVE, BELOW = 6, 18, 40  # columns to each side, rows above and below the seam


def column_view(frame, pose):
    """The middle of the mouth upright, `[(ABOVE + BELOW) * 4, 2 * HALF * 4, 3]`."""
    x, y = draw.in_frame(pose, 0.0, draw.MOUTH_Y)
    c, s = math.cos(pose.tilt) * pose.scale / SCALE, math.sin(pose.tilt) * pose.scale / SCALE
    # destination (u, v) -> frame; the centre of a pixel is half a pixel past its corner
    u0, v0 = HALF * SCALE - 0.5, ABOVE * SCALE - 0.5
    matrix = np.array([[c, -s, x - 0.5 - c * u0 + s * v0], [s, c, y - 0.5 - s * u0 - c * v0]])
    size = (2 * HALF * SCALE, (ABOVE + BELOW) * SCALE)
    return cv2.warpAffine(frame, matrix, size, flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP)


def lip_gap(frame, pose):
    """From the first to the last pixel that is throat, teeth or tongue, median over the columns.

    Throat is dark, teeth are grey, the tongue is bluer than it is green; lips and skin are none of these. Shut lips
    read about 1 px: the dark line between them.
    """
    b, g, r = np.moveaxis(column_view(frame, pose).astype(np.float32) / 255, 2, 0)
    inside = (r < 0.42) | ((r - b < 0.17) & (g - b < 0.08)) | (b > g + 0.02)
    rows = np.arange(len(inside))[:, None]
    first = np.where(inside, rows, len(inside)).min(0)
    last = np.where(inside, rows, -1).max(0)
    return float(np.median(np.maximum(last - first + 1, 0))) / SCALE
