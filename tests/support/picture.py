"""Compares pictures pixel by pixel."""

from PIL import Image, ImageChops


def load(path):
    with Image.open(path) as picture:
        return picture.convert("RGB")


def differing_pixels(a, b):
    """How many pixels differ; every pixel when the sizes do."""
    if a.size != b.size:
        return max(a.width * a.height, b.width * b.height)
    bands = ImageChops.difference(a, b).split()
    worst = ImageChops.lighter(ImageChops.lighter(bands[0], bands[1]), bands[2])
    return a.width * a.height - worst.histogram()[0]


def describe_difference(a, b):
    """One line for a failed comparison."""
    if a.size != b.size:
        return f"sizes differ: {a.size} and {b.size}"
    box = ImageChops.difference(a, b).getbbox()
    return f"{differing_pixels(a, b)} of {a.width * a.height} pixels differ, inside {box}"
