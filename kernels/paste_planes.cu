/* paste_planes_f32, paste_planes_f16: the generator's pictures pasted into their strips, as YUV 4:2:0.
 *
 *   generated  [batch, 3, size, size] f32 or f16
 *   frames     [batch]
 *   out        at frames[b].out bytes: Y [height, width], U and V [height / 2, width / 2], packed; width is strip_w up to a
 *              multiple of 16, height strip_h up to a multiple of 2, both repeating the last pixels
 *
 * With the whole frame as the strip it is the full-frame planar kernel that nvJPEG reads.
 *
 * Grid: x and y cover the quads (2x2 pixels) of the batch's largest planes, z = batch (`grid::paste_planes`); threads
 * beyond a smaller frame's planes do nothing.
 * Tested against `Compositor::paste` and `StripPlanes::fill` of src/picture by tests/kernels. */
#include "pixel/quad.h"

PIXEL void paste(const void *generated, const FrameParams *frames, u8 *out, Geometry g, Type type) {
    FrameParams frame = frames[blockIdx.z];
    PlaneLayout layout = plane_layout(frame);
    i32 qx = (i32)(blockIdx.x * blockDim.x + threadIdx.x), qy = (i32)(blockIdx.y * blockDim.y + threadIdx.y);
    if (2 * qx >= layout.width || 2 * qy >= layout.height) {
        return;
    }
    u64 first = (u64)blockIdx.z * 3 * (u64)(g.size * g.size);
    const void *own = type == F16 ? (const void *)((const u16 *)generated + first)
                                  : (const void *)((const f32 *)generated + first);
    paste_quad(own, type, frame, g, qx, qy, out + frame.out);
}

KERNEL(paste_planes_f32)(const f32 *generated, const FrameParams *frames, u8 *out, Geometry g) {
    paste(generated, frames, out, g, F32);
}

KERNEL(paste_planes_f16)(const u16 *generated, const FrameParams *frames, u8 *out, Geometry g) {
    paste(generated, frames, out, g, F16);
}
