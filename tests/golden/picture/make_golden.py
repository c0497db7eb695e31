"""Golden pictures for tests/reference/picture.rs: OpenCV and Pillow are the judges. Run it from any folder; see README.md."""

import hashlib
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

HERE = Path(__file__).resolve().parent
rng = np.random.default_rng(20261123)


def raw(name, array):
    (HERE / name).write_bytes(np.ascontiguousarray(array).tobytes())


def scene(width, height, colour=True):
    """Smooth colours with an edge and some noise: DCT, chroma and upsampling all have work."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    planes = [127 + 120 * np.sin(x / 7 + c) * np.cos(y / 5 - c) for c in range(3 if colour else 1)]
    picture = np.stack(planes, axis=-1) + rng.normal(0, 6, (height, width, len(planes)))
    picture[height // 3 : height // 2, width // 4 : width // 2] = (250, 10, 30)[: len(planes)]
    return np.clip(picture, 0, 255).astype(np.uint8)


def imread(path):
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    assert picture is not None and picture.dtype == np.uint8, path
    return picture


def make_decode():
    rgb = Image.fromarray(scene(37, 29))
    exif = Image.Exif()
    exif[0x0112] = 6
    rgb.save(HERE / "decode_420.jpg", quality=80, subsampling="4:2:0")
    rgb.save(HERE / "decode_422.jpg", quality=60, subsampling="4:2:2")
    rgb.save(HERE / "decode_444.jpg", quality=95, subsampling="4:4:4")
    rgb.save(HERE / "decode_progressive.jpg", quality=75, progressive=True)
    rgb.save(HERE / "decode_rotated_exif.jpg", quality=75, exif=exif)
    Image.fromarray(scene(19, 33, False)[..., 0]).save(HERE / "decode_gray.jpg", quality=85)

    rgb.save(HERE / "decode_rgb8.png")
    rgb.convert("RGBA").save(HERE / "decode_opaque_rgba8.png")
    Image.fromarray(np.dstack([scene(23, 9), rng.integers(0, 256, (9, 23), np.uint8)])).save(HERE / "decode_rgba8.png")
    rgb.quantize(13).save(HERE / "decode_palette4.png")
    rgb.quantize(200).save(HERE / "decode_palette8.png")
    rgb.quantize(7).save(HERE / "decode_palette_trns.png", transparency=3)
    rgb.convert("L").save(HERE / "decode_gray8.png")
    rgb.convert("LA").save(HERE / "decode_gray_alpha8.png")
    rgb.convert("1").save(HERE / "decode_gray1.png")
    cv2.imwrite(str(HERE / "decode_rgb16.png"), rng.integers(0, 65536, (11, 13, 3), np.uint16))
    cv2.imwrite(str(HERE / "decode_rgba16.png"), rng.integers(0, 65536, (7, 5, 4), np.uint16))
    cv2.imwrite(str(HERE / "decode_gray16.png"), rng.integers(0, 65536, (11, 13), np.uint16))
    for path in sorted(HERE.glob("decode_*.[jp][pn]g")):
        picture = imread(path)
        if path.suffix == ".jpg":
            assert np.array_equal(picture, np.asarray(Image.open(path).convert("RGB"))[..., ::-1]), path
        raw(path.name + ".bgr", picture)


RESIZES = [
    ((1, 1), (5, 3)),
    ((2, 3), (1, 1)),
    ((3, 2), (7, 9)),
    ((31, 23), (47, 11)),
    ((23, 31), (11, 47)),
    ((41, 37), (20, 18)),
    ((24, 20), (12, 10)),
    ((24, 20), (48, 40)),
    ((17, 17), (17, 17)),
    ((82, 82), (60, 60)),
    ((60, 60), (82, 82)),
    ((60, 59), (7, 6)),
]


def make_resize():
    for (sw, sh), (dw, dh) in RESIZES:
        source = rng.integers(0, 256, (sh, sw, 3), np.uint8)
        source[: sh // 2] = (source[: sh // 2] > 127) * np.uint8(255)
        name = f"{sw}x{sh}_{dw}x{dh}"
        raw(f"resize_{name}_src.bgr", source)
        for kind, flag in (("cubic", cv2.INTER_CUBIC), ("linear", cv2.INTER_LINEAR)):
            for build, optimised in (("ipp", True), ("opencv", False)):
                cv2.setUseOptimized(optimised)
                raw(f"resize_{name}_{kind}_{build}.bgr", cv2.resize(source, (dw, dh), interpolation=flag))
    cv2.setUseOptimized(True)


def make_paste():
    """The recipe's steps 8 and 9, as the reference does them with numpy and OpenCV, at a small size."""
    size, border = 40, 2
    side = size + 2 * border
    frame = scene(75, 61)
    x0, y0, x1, y1 = 22, 9, 55, 42
    mask = (3, 4, 31, 33)
    cv2.setUseOptimized(False)
    crop = cv2.resize(frame[y0:y1, x0:x1], (side, side), interpolation=cv2.INTER_CUBIC)
    inner = crop[border : border + size, border : border + size].copy()
    masked = cv2.rectangle(inner.copy(), (mask[0], mask[1], mask[2], mask[3]), (0, 0, 0), -1)
    planes = [p.transpose(2, 0, 1).astype(np.float32) / 255.0 for p in (inner, masked)]
    output = rng.random((3, size, size), np.float32)
    pasted = crop.copy()
    pasted[border : border + size, border : border + size] = (output.transpose(1, 2, 0) * 255).astype(np.uint8)
    after = frame.copy()
    after[y0:y1, x0:x1] = cv2.resize(pasted, (x1 - x0, y1 - y0), interpolation=cv2.INTER_CUBIC)
    cv2.setUseOptimized(True)
    raw("paste_frame.bgr", frame)
    raw("paste_crop.bgr", crop)
    raw("paste_input.f32", np.concatenate(planes))
    raw("paste_output.f32", output)
    raw("paste_after.bgr", after)


def main():
    for old in HERE.glob("*.*"):
        if old.suffix in (".bgr", ".f32", ".png", ".jpg"):
            old.unlink()
    make_decode()
    make_resize()
    make_paste()
    files = sorted(p for p in HERE.iterdir() if p.suffix in (".bgr", ".f32", ".png", ".jpg"))
    lines = [f"{hashlib.sha256(p.read_bytes()).hexdigest()}  {p.name}\n" for p in files]
    (HERE / "SHA256SUMS").write_text("".join(lines))
    print(len(files), "files,", sum(p.stat().st_size for p in files), "bytes")


if __name__ == "__main__":
    main()
