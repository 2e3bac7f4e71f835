"""Properties of packing and unpacking images."""

import io

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from unblind.data.images import decode_image, encode_png
from unblind.errors import DatasetError

pixels = hnp.arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40), st.just(3)))


@given(pixels)
def test_a_png_gives_its_pixels_back(image: np.ndarray):
    data = encode_png(image)
    assert (np.asarray(Image.open(io.BytesIO(data))) == image).all()
    assert data == encode_png(image.copy())


@given(
    st.sampled_from(["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"]),
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=20),
    st.integers(0, 2_000),
)
def test_a_damaged_file_is_an_image_or_a_named_error(kind: str, changes: list[tuple[int, int]], cut: int):
    buffer = io.BytesIO()
    Image.linear_gradient("L").resize((24, 24)).convert("RGB").save(buffer, kind)
    data = bytearray(buffer.getvalue())
    for place, value in changes:
        data[place % len(data)] = value
    damaged = bytes(data[: max(0, len(data) - cut)])
    try:
        assert decode_image(damaged, "here").mode == "RGB"
    except DatasetError as error:
        assert str(error).startswith("here: ")
