"""Pictures that Pillow reads: PNG, JPEG and BMP.

Grey stays one channel, colour becomes RGB (palettes and CMYK too), bilevel becomes 0 and 255,
16 bits stay 16 bits, and an alpha channel is dropped. An EXIF orientation is left alone, in
images and masks alike: the first stored row is row 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Shaped, UInt8

from fewmasks.errors import FormatError
from fewmasks.io.atomic import atomic
from fewmasks.io.palette import Colour, colour_table
from fewmasks.io.source import (
    PIXEL_LIMIT,
    Format,
    Voxels,
    damaged,
    refuse_huge,
    refuse_other_shape,
)

if TYPE_CHECKING:
    from PIL import Image

KINDS = ("PNG", "JPEG", "BMP")
GREY_MODES = {"1": "u1", "L": "u1", "LA": "u1", "I;16": "u2", "I": "i4"}
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
CHANNELS_OF_DEEP_PNG = {2: 3, 4: 1, 6: 3}  # PNG colour type: RGB, grey + alpha, RGB + alpha


@dataclass(frozen=True)
class Picture:
    """A PNG, JPEG or BMP file."""

    path: Path
    shape: tuple[int, int, int, int]
    dtype: np.dtype
    is_deep: bool
    """A PNG of 16 bits and several channels, of which Pillow would keep 8 bits."""
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)
    mask_suffix: str = ".png"

    def read(self) -> Voxels:
        if self.is_deep:
            return self._read_deep()
        with _open(self.path) as image:
            pixels = _decode(self.path, image)
        return pixels.reshape(self.shape)

    def read_classes(self) -> Voxels:
        if self.is_deep:
            return self._read_deep()
        with _open(self.path) as image:
            if image.format == "JPEG":
                raise FormatError(
                    f"{self.path}: JPEG blurs class numbers at every edge; save masks as PNG"
                )
            numbers = _decode(self.path, image, as_stored=image.mode in {"1", "P"})
        numbers = numbers // _stretch(self.path)
        return numbers.reshape(1, *numbers.shape[:2], -1)

    def write_like(self, mask: Shaped[np.ndarray, "z y x"], path: Path) -> None:
        refuse_other_shape(path, mask, self.shape)
        write_indexed(path, mask[0].astype(np.uint8))

    def _read_deep(self) -> Voxels:
        from imagecodecs import PngError, png_decode

        try:
            pixels = png_decode(self.path.read_bytes())
        except (PngError, ValueError) as error:
            raise damaged(self.path, "a picture", error) from None
        return np.ascontiguousarray(pixels[None, :, :, : self.shape[3]])


def open_picture(path: Path, slice_axis: int | None = None) -> Picture:
    """Open a PNG, JPEG or BMP file; only its header is read. A picture has no slice axis."""
    with _open(path) as image:
        width, height = image.size
        mode = image.mode
    refuse_huge(path, height, width)
    depth, colour_type = _png_depth(path)
    if depth == 16 and colour_type in CHANNELS_OF_DEEP_PNG:
        channels = CHANNELS_OF_DEEP_PNG[colour_type]
        return Picture(path, (1, height, width, channels), np.dtype(np.uint16), is_deep=True)
    channels = 1 if mode in GREY_MODES else 3
    dtype = np.dtype(GREY_MODES.get(mode, "u1"))
    return Picture(path, (1, height, width, channels), dtype, is_deep=False)


def write_indexed(
    path: Path, mask: UInt8[np.ndarray, "y x"], palette: Sequence[Colour] | None = None
) -> None:
    """Write class numbers as an indexed PNG, whole or not at all."""
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(mask))
    image.putpalette([level for colour in colour_table(palette) for level in colour])
    with atomic(path) as file:
        image.save(file, format="PNG")


def _open(path: Path) -> "Image.Image":
    from PIL import Image, UnidentifiedImageError

    # A setting of the whole process; Pillow's own limit refuses rasters that are no attack.
    Image.MAX_IMAGE_PIXELS = PIXEL_LIMIT
    try:
        return Image.open(path, formats=KINDS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise FormatError(
            f"{path}: {str(error).rstrip('.')}; cut it into tiles of at most {PIXEL_LIMIT:,} pixels"
        ) from None
    except UnidentifiedImageError:
        raise damaged(path, "a picture", "no PNG, JPEG or BMP header") from None
    except (OSError, SyntaxError, ValueError) as error:
        raise damaged(path, "a picture", error) from None


def _in_our_mode(image: "Image.Image") -> "Image.Image":
    if image.mode in {"L", "RGB", "I;16", "I"}:
        return image
    return image.convert("L" if image.mode in GREY_MODES else "RGB")


def _decode(path: Path, image: "Image.Image", as_stored: bool = False) -> Shaped[np.ndarray, "..."]:
    try:
        pixels = np.asarray(image if as_stored else _in_our_mode(image))
    except (OSError, SyntaxError, ValueError) as error:
        raise damaged(path, "a picture", error) from None
    return pixels.astype(np.uint8) if pixels.dtype == np.bool_ else pixels


def _png_depth(path: Path) -> tuple[int, int]:
    """Bits per channel and colour type in the header of a PNG; zeros for other files."""
    with path.open("rb") as file:
        header = file.read(26)
    if not header.startswith(PNG_SIGNATURE) or len(header) < 26:
        return 0, 0
    return header[24], header[25]


def _stretch(path: Path) -> int:
    """By what Pillow multiplies grey of 2 or 4 bits, so that white becomes 255."""
    depth, colour_type = _png_depth(path)
    return 255 // (2**depth - 1) if colour_type == 0 and depth in {2, 4} else 1


FORMAT = Format(
    "picture",
    suffixes=(".png", ".jpg", ".jpeg", ".bmp"),
    open=open_picture,
    guidance="2D images; masks as PNG, indexed or grey",
)
