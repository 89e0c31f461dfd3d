from search.data.photographs import CROP
from search.data.shipped_crops import CROPS_FOLDER, find_crops, load_crops, photographs_of


def test_what_ships() -> None:
    """Lossless crops of one size, small together, each named after its photograph and place."""
    paths = find_crops(1000)
    assert load_crops(paths).shape == (48, 3, CROP, CROP)
    assert sum(path.stat().st_size for path in paths) < 6e6
    assert all(path.read_bytes()[12:16] == b"VP8L" for path in paths)
    assert all(photographs_of([path]) for path in paths)


def test_the_first_crops_are_of_as_many_photographs_as_possible() -> None:
    photographs = len(photographs_of(find_crops(1000)))
    for most in range(1, 49):
        assert len(photographs_of(find_crops(most))) == min(most, photographs)


def test_every_photograph_is_attributed() -> None:
    said = (CROPS_FOLDER / "ATTRIBUTION.md").read_text()
    assert "CC0 1.0" in said
    assert all(f"`{name}`" in said for name in photographs_of(find_crops(1000)))
