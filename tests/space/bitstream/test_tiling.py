import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from space.architecture import HYPER_STRIDE
from space.bitstream.tiling import MARGIN, STRIDE, TILE, Tile, content, count, cut, grid

sides = st.integers(1, 2000)


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


@given(sides, sides)
def test_contents_partition_the_image(height: int, width: int) -> None:
    covered = np.zeros((height, width), dtype=np.uint8)
    for tile in grid(height, width):
        covered[tile.top : tile.top + tile.height, tile.left : tile.left + tile.width] += 1
    assert (covered == 1).all()
    assert sum(tile.height * tile.width for tile in grid(height, width)) == height * width


@given(sides, sides)
def test_coded_sides_are_aligned_and_as_small_as_possible(height: int, width: int) -> None:
    for tile in grid(height, width):
        for side, coded in ((tile.height, tile.coded_height), (tile.width, tile.coded_width)):
            assert coded % HYPER_STRIDE == 0
            assert side + 2 * MARGIN <= coded <= TILE
            assert coded < side + 2 * MARGIN + HYPER_STRIDE


@given(sides, sides)
def test_the_count_is_that_of_the_grid(height: int, width: int) -> None:
    assert count(height, width) == len(grid(height, width))


@given(sides, sides)
@settings(max_examples=30, deadline=None)
def test_an_image_is_its_contents(height: int, width: int) -> None:
    image = noise(height, width)
    back = np.zeros_like(image)
    for tile in grid(height, width):
        coded = cut(image, tile)
        assert coded.shape == (tile.coded_height, tile.coded_width, 3)
        part = content(coded, tile)
        back[tile.top : tile.top + tile.height, tile.left : tile.left + tile.width] = part
    assert (back == image).all()


def test_twelve_megapixels_are_48_whole_tiles() -> None:
    tiles = grid(3024, 4032)
    assert len(tiles) == 48
    assert {(tile.coded_height, tile.coded_width) for tile in tiles} == {(512, 512)}


def test_tiles_go_row_by_row() -> None:
    assert grid(STRIDE + 10, STRIDE + 100) == [
        Tile(0, 0, STRIDE, STRIDE),
        Tile(0, STRIDE, STRIDE, 100),
        Tile(STRIDE, 0, 10, STRIDE),
        Tile(STRIDE, STRIDE, 10, 100),
    ]


def test_margins_are_real_neighbours() -> None:
    image = noise(3 * STRIDE, 3 * STRIDE)
    start, end = STRIDE - MARGIN, 2 * STRIDE + MARGIN
    assert (cut(image, grid(*image.shape[:2])[4]) == image[start:end, start:end]).all()


def test_the_border_is_repeated() -> None:
    image = noise(100, 30)
    coded = cut(image, grid(100, 30)[0])
    expected = np.pad(image, ((MARGIN, 128 - 104), (MARGIN, 64 - 34), (0, 0)), mode="edge")
    assert (coded == expected).all()
