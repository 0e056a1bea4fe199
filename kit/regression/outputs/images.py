"""Images other than matplotlib's, compared by their worst block: noise is everywhere, an edit is somewhere."""

from __future__ import annotations

import io
from typing import Any

__all__ = ["compare_images", "image_size"]

BLOCK = 16  # pixels
BLUR = 1.0  # pixels: antialiasing moves an edge by less
ALLOWED = 8  # of 255, the mean of the worst block


def compare_images(old: bytes, new: bytes) -> str:
    """Say what differs between two images, in one line; "" where nothing does that an eye would see.

    Both are laid on white and blurred; the difference is averaged over blocks of 16 by 16 pixels, and the worst counts.

    Args:
        old: The reference's file: PNG, JPEG, or what else Pillow reads.
        new: The file to compare.
    """
    if old == new:
        return ""
    try:
        from PIL import Image, ImageChops, ImageFilter
    except ImportError:
        return "its bytes differ; with the package pillow, kit compares what they show"
    try:
        before, after = (_on_white(Image, data) for data in (old, new))
    except OSError:  # no image that Pillow knows, or half of one
        return "its bytes differ, and they are no image that can be read"
    if before.size != after.size:
        return f"{before.width} x {before.height} pixels -> {after.width} x {after.height}"
    blurred = [image.filter(ImageFilter.GaussianBlur(BLUR)) for image in (before, after)]
    blocks = ImageChops.difference(*blurred).reduce(BLOCK)
    worst, at = 0, (0, 0)
    for band in blocks.split():
        values = band.tobytes()
        if max(values) > worst:
            worst = max(values)
            at = (values.index(worst) % band.width, values.index(worst) // band.width)
    if worst <= ALLOWED:
        return ""
    place = f"({at[0] * BLOCK}, {at[1] * BLOCK})"
    return f"the block of {BLOCK} x {BLOCK} pixels at {place} differs by {worst} of 255"


def image_size(data: bytes) -> list[int]:
    """Read an image's width and height; empty where it cannot be read."""
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return [int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")]
    try:
        from PIL import Image

        return list(Image.open(io.BytesIO(data)).size)
    except (ImportError, OSError):
        return []


def _on_white(image: Any, data: bytes) -> Any:
    drawn = image.open(io.BytesIO(data)).convert("RGBA")
    white = image.new("RGBA", drawn.size, "white")
    return image.alpha_composite(white, drawn).convert("RGB")
