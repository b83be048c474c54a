"""What comes from outside is read safely, or refused in one sentence."""

import io
import struct
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from desiderata.campaign import images
from desiderata.campaign.images import UnreadableImage, digest_of, read_image, scans, to_png
from desiderata.formats import FORMATS, SUFFIXES
from desiderata.worlds.folder import image_files


def encoded(image: Image.Image, format: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def noise(width: int = 40, height: int = 30, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def png_of_size(width: int, height: int) -> bytes:
    """A PNG that says it is huge and holds next to nothing."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 999))
        + chunk(b"IEND", b"")
    )


def bmp_of_size(width: int, height: int) -> bytes:
    """A BMP that says its size is another one than it has."""
    return encoded(noise(16, 16), "BMP").replace(struct.pack("<ii", 16, 16), struct.pack("<ii", width, height), 1)


def bmp_of_runs(width: int, height: int, body: bytes) -> bytes:
    """A BMP of 256 colours whose rows are run-length encoded."""
    start = 14 + 40 + 4 * 256
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(body), 0, 0, 256, 0)
    palette = bytes(value for i in range(256) for value in (i, 0, 255 - i, 0))
    return b"BM" + struct.pack("<IHHI", start + len(body), 0, 0, start) + header + palette + body


def gif_of_size(width: int, height: int, frame_width: int, frame_height: int) -> bytes:
    """A GIF that says how large its screen and its first frame are, and holds no pixel."""
    dispose = b"!\xf9\x04\x08\0\0\0\0"
    frame = b"," + struct.pack("<HHHHB", 0, 0, frame_width, frame_height, 0) + b"\x08\0;"
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0, 0, 0) + dispose + frame


SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64"><script>alert(1)</script></svg>'

HOSTILE = {
    "bomb": png_of_size(100_000, 100_000),
    "warned bomb": png_of_size(10_000, 10_000),
    "quiet bomb": png_of_size(8_100, 8_100),
    "truncated jpeg": encoded(noise(200, 200), "JPEG")[:900],
    "truncated png": encoded(noise(200, 200), "PNG")[:-200],
    "broken png": png_of_size(64, 64),
    "svg": SVG,
    "tiff": encoded(noise(), "TIFF"),
    "icon": encoded(noise(), "ICO"),
    "ppm": encoded(noise(), "PPM"),
    "gif of a large screen": gif_of_size(40_000, 40_000, 8, 8),
    "gif of a large frame": gif_of_size(8, 8, 10_000, 9_000),
    "gif without a frame": b"GIF89a" + struct.pack("<HHBBB", 20, 20, 0, 0, 0) + b";",
    "truncated gif": encoded(noise(200, 200), "GIF")[:3000],
    "signature of a gif only": b"GIF89a",
    "large bmp": encoded(noise(16, 16), "BMP").replace(struct.pack("<ii", 16, 16), struct.pack("<ii", 9000, 9000), 1),
    "bmp of no width": encoded(noise(16, 16), "BMP").replace(
        struct.pack("<ii", 16, 16), struct.pack("<ii", 0, 16), 1
    ),
    "truncated bmp": encoded(noise(200, 200), "BMP")[:9000],
    "run-length bmp": bmp_of_runs(8000, 8000, b"\1\5\0\0" * 8000),
    "script in a bmp": b"BM" + SVG,
    "nothing": b"",
    "text": b"hello",
    "signature only": b"\x89PNG\r\n\x1a\n",
    "strip": encoded(noise(2000, 8), "PNG"),
    "dot": encoded(noise(1, 1), "PNG"),
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_hostile_files_are_refused_in_one_sentence_that_names_them(content: bytes, tmp_path: Path):
    path = tmp_path / "photo.jpg"
    path.write_bytes(content)
    with pytest.raises(UnreadableImage) as refused:
        read_image(path)
    message = str(refused.value)
    assert message.startswith(str(path))
    assert message.endswith(".")
    assert "\n" not in message


def test_a_file_over_the_byte_limit_is_not_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(images, "MOST_BYTES", 1000)
    path = tmp_path / "large.png"
    path.write_bytes(encoded(noise(), "PNG"))
    with pytest.raises(UnreadableImage, match="larger than"):
        read_image(path)


def test_missing_files_and_folders_are_named(tmp_path: Path):
    with pytest.raises(UnreadableImage, match=r"gone\.jpg does not exist"):
        read_image(tmp_path / "gone.jpg")
    with pytest.raises(UnreadableImage, match="is a folder"):
        read_image(str(tmp_path))
    with pytest.raises(UnreadableImage, match="is not a file"):
        read_image("/dev/zero")


@pytest.mark.parametrize("format", ["PNG", "WEBP", "BMP"])
def test_lossless_files_arrays_and_images_give_the_same_pixels(format: str, tmp_path: Path):
    image = noise()
    options = {"lossless": True, "exact": True} if format == "WEBP" else {}
    content = encoded(image, format, **options)
    (tmp_path / "a.bin").write_bytes(content)
    names = {digest_of(read_image(one)) for one in (content, tmp_path / "a.bin", np.asarray(image), image)}
    assert names == {digest_of(image)}
    assert digest_of(read_image(to_png(image))) == digest_of(image)


def test_the_digest_is_that_of_the_picture_as_ppm():
    image = noise(16, 16)
    import hashlib

    assert digest_of(image) == hashlib.sha256(encoded(image, "PPM")).hexdigest()


def test_orientation_is_applied_and_metadata_is_gone():
    image = noise(40, 20)
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    exif[0x010E] = "at home"
    text = PngImagePlugin.PngInfo()
    text.add_text("GPS", "52.5 13.4")
    read = read_image(encoded(image, "PNG", exif=exif, pnginfo=text, icc_profile=b"profile"))
    assert read.size == (20, 40)
    assert digest_of(read) == digest_of(image.transpose(Image.Transpose.ROTATE_270))
    assert not read.info
    stored = to_png(read)
    assert b"home" not in stored
    assert b"52.5" not in stored
    assert b"iCCP" not in stored


def test_transparent_parts_become_white_and_grey_becomes_rgb():
    clear = Image.new("RGBA", (16, 16), (255, 0, 0, 0))
    assert read_image(encoded(clear, "PNG")).getpixel((3, 3)) == (255, 255, 255)
    palette = Image.new("P", (16, 16), 0)
    assert read_image(encoded(palette, "PNG", transparency=0)).getpixel((3, 3)) == (255, 255, 255)
    deep = Image.fromarray(np.full((16, 16), 0x8000, np.uint16))
    assert read_image(encoded(deep, "PNG")).getpixel((3, 3)) == (128, 128, 128)
    assert read_image(encoded(Image.new("L", (16, 16), 7), "JPEG")).getpixel((3, 3)) == (7, 7, 7)
    assert read_image(encoded(Image.new("CMYK", (16, 16)), "JPEG")).mode == "RGB"


def test_bitmaps_of_few_colours_and_with_alpha_are_read():
    dots = Image.fromarray(np.indices((16, 16)).sum(axis=0) % 2 == 1)
    assert digest_of(read_image(encoded(dots, "BMP"))) == digest_of(dots.convert("RGB"))
    few = noise(16, 16).quantize(7)
    for format in ("BMP", "GIF"):
        assert digest_of(read_image(encoded(few, format))) == digest_of(few.convert("RGB"))


def test_an_animation_counts_as_its_first_frame():
    first, second, third = (noise(40, 30, seed).quantize(64) for seed in range(3))
    alone = digest_of(first.convert("RGB"))
    for rest in ([second], [third, second]):
        moving = encoded(first, "GIF", save_all=True, append_images=rest, duration=50, loop=0)
        with Image.open(io.BytesIO(moving)) as opened:
            assert getattr(opened, "n_frames", 1) == 1 + len(rest)
        assert digest_of(read_image(moving)) == alone
    clear = Image.new("P", (16, 16), 0)
    assert read_image(encoded(clear, "GIF", transparency=0)).getpixel((3, 3)) == (255, 255, 255)


def test_a_folder_is_searched_for_what_can_be_read(tmp_path: Path):
    for suffix in SUFFIXES:
        noise().save(tmp_path / f"a{suffix}")
    assert {read_image(path).size for path in image_files(tmp_path)} == {(40, 30)}
    assert len(image_files(tmp_path)) == len(SUFFIXES)
    known = {format: suffix for suffix, format in Image.registered_extensions().items() if suffix in SUFFIXES}
    assert set(known) == set(FORMATS)


def test_large_pictures_are_reduced_once(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(images, "LARGEST_SIDE", 64)
    read = read_image(noise(128, 96))
    assert read.size == (64, 48)
    assert digest_of(read_image(to_png(read))) == digest_of(read)


@pytest.mark.parametrize("wrong", [np.zeros((8, 8, 3)), np.zeros((8, 8), np.uint8), np.zeros((8, 8, 4), np.uint8)])
def test_arrays_of_other_kinds_are_refused(wrong: np.ndarray):
    with pytest.raises(UnreadableImage, match="uint8"):
        read_image(wrong)


def test_random_damage_never_raises_anything_else():
    rng = np.random.default_rng(0)
    for format in FORMATS:
        whole = np.frombuffer(encoded(noise(64, 48), format), np.uint8)
        for _ in range(60):
            damaged = whole.copy()
            places = rng.integers(0, len(damaged), 4)
            damaged[places] = rng.integers(0, 256, 4)
            with suppress(UnreadableImage):
                read_image(damaged.tobytes())


def jpeg(scans_more: int) -> bytes:
    """Return a progressive JPEG of which one scan comes again and again."""
    content = encoded(noise(), "JPEG", progressive=True)
    last = content.rindex(b"\xff\xda")
    return content[:-2] + content[last:-2] * scans_more + content[-2:]


def test_a_jpeg_in_very_many_scans_is_refused_before_it_is_decoded():
    few = scans(jpeg(0))
    assert 2 < few < 20
    assert scans(jpeg(5)) == few + 5
    read_image(jpeg(5))
    with pytest.raises(UnreadableImage, match="in more than 100 scans"):
        read_image(jpeg(200))


def test_what_follows_a_jpeg_is_none_of_its_scans():
    assert scans(jpeg(0) + b"\xff\xda\x00\x02" * 1000) == scans(jpeg(0))
    read_image(jpeg(0) + b"\xff\xda\x00\x02" * 1000)


@pytest.mark.parametrize("content", [b"", b"\xff\xd8", b"\xff\xd8\xff\xda", b"\xff\xd8" + b"\xff" * 9])
def test_scans_of_damaged_files_are_counted_as_far_as_they_go(content: bytes):
    assert scans(content) == content.count(b"\xda")
