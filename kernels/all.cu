/* Every kernel in one unit: one module to load. */
#include "gather_context.cu"
#include "override_picture.cu"
#include "paste_planes.cu"
#include "patch_crop.cu"
#include "picture_input.cu"
