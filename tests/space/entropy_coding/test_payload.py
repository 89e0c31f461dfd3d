import hashlib

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.stats import norm

from space.codec.scales import TABLE_COUNT, table_sigmas
from space.entropy_coding.payload import (
    FLAG_BLOCK,
    LARGEST_OFFSET,
    PayloadReader,
    Symbols,
    check_tables,
    write_payload,
)
from space.entropy_coding.tables import Tables

LISTS = Tables.gaussian().as_lists()


def read(payload: bytes, z_tables: Symbols, tables: Symbols) -> tuple[Symbols, Symbols]:
    reader = PayloadReader(payload, z_tables.size + tables.size, LISTS)
    return reader.hyper_latent(z_tables), reader.latent(tables)


def symbols(shape: tuple[int, ...], least: int, most: int) -> st.SearchStrategy[Symbols]:
    return arrays.arrays(np.int32, shape, elements=st.integers(least, most))


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_symbols_come_back(data: st.DataObject) -> None:
    """Including symbols far outside of their table, and symbols of table 0 that are not zero."""
    shape, z_shape = data.draw(st.sampled_from([((4, 4, 4), (2, 1, 1)), ((4, 8, 16), (3, 2, 4))]))
    latent = data.draw(symbols(shape, -(2**15), 2**15))
    tables = data.draw(symbols(shape, 0, TABLE_COUNT - 1))
    z = data.draw(symbols(z_shape, -300, 300))
    z_tables = data.draw(symbols(z_shape, 0, TABLE_COUNT - 1))
    found = read(write_payload(z, z_tables, latent, tables, LISTS), z_tables, tables)
    assert np.array_equal(found[0], z)
    assert np.array_equal(found[1], latent)


def test_the_size_is_the_entropy_of_the_gaussians() -> None:
    rng = np.random.default_rng(0)
    tables = rng.integers(0, TABLE_COUNT, size=(64, 32, 32)).astype(np.int32)
    sigma = table_sigmas().numpy()[tables]
    latent = np.round(rng.normal(scale=sigma)).astype(np.int32)
    z = np.zeros((8, 8, 8), np.int32)
    size = len(write_payload(z, np.zeros_like(z), latent, tables, LISTS))
    mass = norm.cdf((latent + 0.5) / sigma) - norm.cdf((latent - 0.5) / sigma)
    assert size == pytest.approx(-np.log2(mass).sum() / 8, rel=3e-3)


def test_the_size_is_what_the_tables_say() -> None:
    """Including symbols far outside of their tables."""
    rng = np.random.default_rng(1)
    tables = rng.integers(1, TABLE_COUNT, size=(64, 32, 32)).astype(np.int32)
    latent = np.round(rng.laplace(scale=3 * table_sigmas().numpy()[tables])).astype(np.int32)
    z = np.zeros((1, 1, 1), np.int32)
    size = len(write_payload(z, z, latent, tables, LISTS))
    bits = Tables.gaussian().bits(torch.tensor(latent).long(), torch.tensor(tables).long())
    assert size == pytest.approx(bits.sum().item() / 8, rel=1e-3)


def test_what_table_zero_expects_costs_next_to_nothing() -> None:
    shape = (192, 32, 32)
    nothing = np.zeros(shape, np.int32)
    z = np.zeros((1, 8, 8), np.int32)
    empty = len(write_payload(z, z, nothing, nothing, LISTS))
    assert empty <= 40
    surprise = nothing.copy()
    surprise[100, 3, 4] = 1
    assert len(write_payload(z, z, surprise, nothing, LISTS)) <= empty + 8


def test_tables_are_sixteen_bit_distributions() -> None:
    cdfs, lengths, offsets = LISTS
    assert len(cdfs) == TABLE_COUNT
    for cdf, length, offset in zip(cdfs, lengths, offsets, strict=True):
        assert len(cdf) == length
        assert cdf[0] == 0
        assert cdf[-1] == 2**16
        assert (np.diff(cdf) > 0).all()
        # The last entry stands for all values outside: the middle of the others is zero.
        assert -2 * offset == length - 3


@pytest.mark.parametrize("seed", range(40))
def test_a_forged_payload_gives_other_symbols_but_never_a_crash(seed: int) -> None:
    """The checksum protects against accidents. A forged payload must not be read past its end."""
    rng = np.random.default_rng(seed)
    tables = rng.integers(0, TABLE_COUNT, size=(16, 16, 16)).astype(np.int32)
    z_tables = rng.integers(0, TABLE_COUNT, size=(4, 4, 4)).astype(np.int32)
    kind = seed % 4
    length = int(rng.integers(0, 3000))
    payload = (
        rng.bytes(length), b"\xff" * length, b"\0" * length, b"\xff" * (length // 2) + b"\0" * 9
    )[kind]  # fmt: skip
    z, latent = read(payload, z_tables, tables)
    assert z.shape == z_tables.shape
    assert latent.shape == tables.shape


def test_the_costliest_symbols_fit_a_payload() -> None:
    """Every symbol is an escape of a rare entry, and so is every flag."""
    cdf = [0, 2**16 - 2, 2**16 - 1, 2**16]
    rare = [cdf] * TABLE_COUNT, [4] * TABLE_COUNT, [-LARGEST_OFFSET] * TABLE_COUNT
    for shape in ((1, 1, 1), (4, 16, 16)):
        latent, z = np.full(shape, 2**15, np.int32), np.full((1, 1, 1), -(2**15), np.int32)
        tables, z_tables = np.zeros_like(latent), np.zeros_like(z)
        payload = write_payload(z, z_tables, latent, tables, rare)
        reader = PayloadReader(payload, latent.size + 1, rare)
        assert np.array_equal(reader.hyper_latent(z_tables), z)
        assert np.array_equal(reader.latent(tables), latent)


def test_a_payload_longer_than_its_symbols_is_refused() -> None:
    zeros = np.zeros((1, 8, 8), np.int32)
    payload = write_payload(zeros, zeros, zeros, zeros, LISTS)
    with pytest.raises(ValueError, match="bytes, but 128 symbols take at most 1,056"):
        PayloadReader(payload + bytes(60_000_000), 2 * zeros.size, LISTS)


@pytest.mark.parametrize("offset", [2**31 - 1, -(2**31), 2**16 + 1])
def test_offsets_beyond_which_coding_would_not_end(offset: int) -> None:
    tables = Tables.gaussian()
    offsets = np.full(TABLE_COUNT, offset, np.int32)
    with pytest.raises(ValueError, match="offsets must be within 65,536"):
        check_tables(tables.cdfs.numpy(), tables.lengths.numpy(), offsets)


def test_blocks_need_not_be_full() -> None:
    tables = np.zeros((1, 1, FLAG_BLOCK + 5), np.int32)
    latent = np.zeros_like(tables)
    latent[0, 0, -1] = -7
    z = np.zeros((1, 1, 1), np.int32)
    assert np.array_equal(read(write_payload(z, z, latent, tables, LISTS), z, tables)[1], latent)


def test_the_bytes_of_version_one() -> None:
    """Existing files were written this way. If this fails, `container.VERSION` must rise."""
    rng = np.random.default_rng(7)
    cdf = torch.arange(7, dtype=torch.int32) ** 2 * 1000
    cdf[-1] = 2**16
    tables = Tables(
        cdf.repeat(TABLE_COUNT, 1),
        torch.full((TABLE_COUNT,), 7, dtype=torch.int32),
        torch.full((TABLE_COUNT,), -2, dtype=torch.int32),
    ).as_lists()
    z_tables = rng.integers(0, TABLE_COUNT, size=(4, 2, 2)).astype(np.int32)
    latent_tables = rng.integers(0, 4, size=(8, 8, 8)).astype(np.int32)
    z = rng.integers(-3, 4, size=z_tables.shape).astype(np.int32)
    latent = rng.integers(-9, 10, size=latent_tables.shape).astype(np.int32)
    payload = write_payload(z, z_tables, latent, latent_tables, tables)
    digest = hashlib.sha256(payload).hexdigest()
    assert digest[:16] == "6cb8201404d13c64"
