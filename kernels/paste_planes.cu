/* paste_planes: patched crops resized into their boxes and set into their strips, as YUV 4:2:0.
 *
 *   patched  [batch, side, side] pixels of 4 bytes, as patch_crop_* makes them
 *   frames   [batch]
 *   out      at frames[b].out bytes: Y [height, width], U and V [height / 2, width / 2], packed; width is strip_w up to a
 *            multiple of 16, height strip_h up to a multiple of 2, both repeating the last pixels
 *
 * With the whole frame as the strip it is the full-frame planar kernel that nvJPEG reads.
 *
 * Grid: x and y cover the quads (2x2 pixels) of the batch's largest planes, z = batch (`grid::paste_planes`); threads
 * beyond a smaller frame's planes do nothing.
 * Tested against `Compositor::paste` and `StripPlanes::fill` of src/picture by tests/kernels. */
#include "pixel/quad.h"

KERNEL(paste_planes)(const u32 *patched, const FrameParams *frames, u8 *out, Geometry g) {
    FrameParams frame = frames[blockIdx.z];
    PlaneLayout layout = plane_layout(frame);
    i32 qx = (i32)(blockIdx.x * blockDim.x + threadIdx.x), qy = (i32)(blockIdx.y * blockDim.y + threadIdx.y);
    if (2 * qx >= layout.width || 2 * qy >= layout.height) {
        return;
    }
    i32 side = g.size + 2 * g.border;
    Patched crop = {patched + (u64)blockIdx.z * (u64)(side * side), side, g.interpolation};
    paste_quad(crop, frame, qx, qy, out + frame.out);
}
