"""Makes the two pictures of this folder: `python make.py`. Versions and hashes: README.md."""
import pathlib

from PIL import Image

HERE = pathlib.Path(__file__).parent
picture = Image.linear_gradient("L").resize((64, 48)).convert("RGB")
picture.save(HERE / "frame_64x48.png", optimize=True)
picture.save(HERE / "frame_64x48.jpg", quality=75)
