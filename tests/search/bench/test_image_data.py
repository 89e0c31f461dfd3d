import struct
from io import SEEK_CUR, BytesIO

import numpy as np
import pytest
from PIL import Image
from skimage.data import astronaut

from search.bench.anchors import Pixels, anchor
from search.bench.image_data import (
    DATA_BYTES,
    QUALITIES,
    avif_data_bytes,
    fitted,
    jpeg_data_bytes,
    webp_data_bytes,
)

PHOTO: Pixels = astronaut()[60:172, 180:324]


@pytest.mark.parametrize("quality", [1, 25, 95])
def test_jpeg_data_is_what_follows_the_segments_before_the_scan(quality: int) -> None:
    file = anchor("jpeg").encode(PHOTO, quality)
    position = 2  # after the marker that starts the image
    while file[position + 1] != 0xDA:
        assert file[position] == 0xFF
        position += 2 + struct.unpack_from(">H", file, position + 2)[0]
    assert jpeg_data_bytes(file) == len(file) - position
    assert len(file) > jpeg_data_bytes(file) + 150


def riff_chunks(file: bytes) -> list[tuple[bytes, bytes]]:
    """Kinds and payloads of the chunks of a RIFF file, read as from a stream."""
    stream = BytesIO(file)
    assert stream.read(4) == b"RIFF"
    assert int.from_bytes(stream.read(4), "little") == len(file) - 8
    assert stream.read(4) == b"WEBP"
    chunks = []
    while kind := stream.read(4):
        size = int.from_bytes(stream.read(4), "little")
        chunks.append((kind, stream.read(size)))
        stream.seek(size % 2, SEEK_CUR)
    return chunks


@pytest.mark.parametrize("quality", [1, 50, 51, 52, 95])
def test_webp_data_is_the_payload_of_the_only_chunk(quality: int) -> None:
    file = anchor("webp").encode(PHOTO, quality)
    ((kind, payload),) = riff_chunks(file)
    assert kind == b"VP8 "
    assert webp_data_bytes(file) == len(payload)


def test_webp_data_are_colours_and_transparency_alone() -> None:
    file = BytesIO()
    picture = Image.fromarray(PHOTO)
    picture.putalpha(Image.fromarray(PHOTO[..., 0]))
    picture.save(file, "WEBP", exif=b"a comment")
    chunks = dict(riff_chunks(file.getvalue()))
    assert chunks.keys() == {b"VP8X", b"ALPH", b"VP8 ", b"EXIF"}
    assert webp_data_bytes(file.getvalue()) == len(chunks[b"ALPH"]) + len(chunks[b"VP8 "])


@pytest.mark.parametrize("quality", [0, 50, 100])
def test_avif_data_is_the_payload_of_the_last_box(quality: int) -> None:
    file = anchor("avif").encode(PHOTO, quality)
    size = avif_data_bytes(file)
    # The size of the box, its kind, and the first frame, which AV1 begins with a sequence header.
    assert file[-size - 8 :].startswith(struct.pack(">I", size + 8) + b"mdat\x12\0\x0a")


@pytest.mark.parametrize("most_bytes", [700, 1500, 4000])
@pytest.mark.parametrize("name", QUALITIES)
def test_the_next_higher_quality_would_need_more_bytes(name: str, most_bytes: int) -> None:
    codec, found = anchor(name), fitted(name, PHOTO, most_bytes)
    sizes = [DATA_BYTES[name](codec.encode(PHOTO, found.quality + i)) for i in (0, 1)]
    assert sizes[0] == found.data_bytes <= most_bytes < sizes[1]
    assert np.array_equal(found.pixels, codec.decode(codec.encode(PHOTO, found.quality)))


@pytest.mark.parametrize("name", QUALITIES)
def test_sizes_out_of_reach_give_the_nearest_end(name: str) -> None:
    assert fitted(name, PHOTO, 1).quality == QUALITIES[name][0]
    assert fitted(name, PHOTO, 10**6).quality == QUALITIES[name][-1]
