import dataclasses

import pytest
import torch
from cascade_zero123.zero123.weights import stored_tensor
from cascade_zero123.zero123.weights.stored_tensor import MappedFile, StoredTensor, Wanted, contiguous_strides

VALUES = torch.arange(24, dtype=torch.float32)


@pytest.fixture
def stored(tmp_path):
    """24 numbers as [4 6], behind 8 other bytes."""
    (tmp_path / "numbers").write_bytes(bytes(8) + VALUES.numpy().tobytes())
    shape = (4, 6)
    file = MappedFile(tmp_path / "numbers")
    return StoredTensor(file, "numbers", torch.float32, 8, 0, shape, contiguous_strides(shape))


def test_what_lies_as_it_is_wanted_is_not_copied_and_keeps_no_more_than_itself(stored):
    rows = stored.rows(1, 3).read()
    assert torch.equal(rows, VALUES.view(4, 6)[1:3])
    assert stored.file.lent == [(8 + 6 * 4, 8 + 18 * 4)]
    assert rows.untyped_storage().nbytes() == rows.nbytes, "else a checkpoint of it would hold its neighbours too"


@pytest.mark.parametrize("how", ["transposed", "other precision"])
def test_what_does_not_is_copied(stored, how):
    value = stored.transposed().read() if how == "transposed" else stored.read(Wanted(torch.float16))
    expected = VALUES.view(4, 6).T if how == "transposed" else VALUES.view(4, 6).half()
    assert torch.equal(value, expected) and value.is_contiguous() and stored.file.lent == []


def test_channels_last_is_read_into_and_takes_the_place_of_the_file_s_pages(tmp_path):
    numbers = torch.arange(2.0 * 3 * 2 * 2).view(2, 3, 2, 2)
    (tmp_path / "numbers").write_bytes(numbers.numpy().tobytes())
    file, shape = MappedFile(tmp_path / "numbers"), (2, 3, 2, 2)
    stored = StoredTensor(file, "numbers", torch.float32, 0, 0, shape, contiguous_strides(shape))
    value = stored.read(Wanted(channels_last=True))
    assert torch.equal(value, numbers) and value.is_contiguous(memory_format=torch.channels_last)
    assert file.lent == []
    matrix = StoredTensor(file, "matrix", torch.float32, 0, 0, (6, 4), contiguous_strides((6, 4)))
    assert torch.equal(matrix.read(Wanted(channels_last=True)), numbers.view(6, 4))
    assert file.lent == [(0, numbers.nbytes)], "only convolutions have channels"


def test_bytes_that_one_tensor_has_are_copied_for_another(stored):
    whole, part, behind = stored.read(), stored.rows(2, 4).read(), stored.rows(0, 2).read()
    whole.zero_()
    assert torch.equal(part, VALUES.view(4, 6)[2:]) and torch.equal(behind, VALUES.view(4, 6)[:2])


def test_a_copy_of_lent_bytes_leaves_what_was_written_to_them(tmp_path):
    (tmp_path / "numbers").write_bytes(torch.ones(8, 4096).numpy().tobytes())
    stored = StoredTensor(MappedFile(tmp_path / "numbers"), "numbers", torch.float32, 0, 0, (8, 4096), (4096, 1))
    lent = stored.read().zero_()
    stored.rows(2, 6).read()
    stored.transposed().read()
    assert not lent.any(), "pages were given back to the file"


def test_neighbours_are_both_lent(stored):
    for start, stop in ((2, 4), (0, 1), (1, 2)):
        assert torch.equal(stored.rows(start, stop).read(), VALUES.view(4, 6)[start:stop])
    assert len(stored.file.lent) == 3


def test_bytes_at_an_odd_address_are_copied(tmp_path):
    (tmp_path / "numbers").write_bytes(bytes(3) + VALUES.numpy().tobytes())
    file = MappedFile(tmp_path / "numbers")
    value = StoredTensor(file, "numbers", torch.float32, 3, 0, (24,), (1,)).read()
    assert torch.equal(value, VALUES) and file.lent == []


def test_where_nothing_can_be_mapped_to_write_all_is_copied(stored, monkeypatch):
    monkeypatch.setattr(stored_tensor, "_mapped_to_write", lambda file: (_ for _ in ()).throw(OSError(12, "no memory")))
    refused = dataclasses.replace(stored, file=MappedFile(stored.file.path))
    value = refused.read()
    value.zero_()
    assert torch.equal(refused.read(), VALUES.view(4, 6)) and not refused.file.lent
