/* What lets the same lines compile as plain C on the host and as CUDA C++ on the device, without any system header.
 *
 * On the device the values of blockIdx, threadIdx and blockDim come from CUDA; on the host `host.c` sets them and calls a
 * kernel once for each thread of its grid. So nothing here may share memory between threads or wait for another. */
#ifndef PIXEL_BASE_H
#define PIXEL_BASE_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef short i16;
typedef unsigned int u32;
typedef int i32;
typedef float f32;
/* Wide enough for an address on every platform CUDA exists for. */
typedef unsigned long long u64;

#ifdef __CUDACC__
#define PIXEL static __device__ __forceinline__
#define KERNEL(name) extern "C" __global__ void name
#define ALIGNED(bytes) __align__(bytes)
#else
#define PIXEL static inline
#define KERNEL(name) void name
#define ALIGNED(bytes) __attribute__((aligned(bytes)))
#endif

/* Values a kernel reads or writes are either f32 or IEEE binary16; the kernels pass a constant, so that the other branch
 * is compiled away. */
typedef enum { F32 = 0, F16 = 1 } Type;

/* Loads and stores of several bytes at once; only through a pointer that `is_aligned` says yes to. */
typedef struct ALIGNED(4) { u8 byte[4]; } Bytes4;
typedef struct ALIGNED(2) { u8 byte[2]; } Bytes2;
typedef struct ALIGNED(16) { u16 bits[8]; } Halves8;
typedef struct ALIGNED(16) { f32 value[4]; } Floats4;

PIXEL i32 is_aligned(const void *pointer, u32 bytes) { return ((u64)pointer & (bytes - 1)) == 0; }

PIXEL i32 min_i32(i32 a, i32 b) { return a < b ? a : b; }

PIXEL i32 clamp_byte(i32 value) { return value < 0 ? 0 : value > 255 ? 255 : value; }

#endif
