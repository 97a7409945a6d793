"""Draws three pictures to try it with: a good one, a broken one, and one that takes 324 MB."""

from pathlib import Path

from PIL import Image

pictures = Path("pictures")
pictures.mkdir(exist_ok=True)
Image.radial_gradient("L").resize((1600, 1200)).save(pictures / "sun.png")
(pictures / "broken.png").write_text("This is no picture.")
Image.new("L", (9000, 9000)).save(pictures / "huge.png")
