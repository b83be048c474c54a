"""Pictures small enough to travel inside the page."""

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def data_uri(image: NDArray[np.uint8], side: int) -> str:
    """Shrink a picture and write it as a `data:` address.

    Args:
        image: RGB of shape (height, width, 3).
        side: The longest side it may have, in pixels; smaller pictures are left as they are.

    Returns:
        WebP as text, a few kilobytes.
    """
    picture = Image.fromarray(image)
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=86, method=4)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
