"""Files that pass for checkpoints and weights: refused by what they state, in no time and no memory."""

import inspect
import io
import time
import zipfile

import pytest
import torch
from cascade_zero123.zero123 import pickle_nesting as extension_s
from cascade_zero123.zero123.weights.tensor_files import open_tensors

from threestudio.errors import UserError
from threestudio.utils import pickle_nesting
from threestudio.utils.checkpoint import load_checkpoint, load_module_weights, save_checkpoint

MANY = 200_000  # tuples in tuples: twice what ends a process by its stack
SECONDS = 5.0
NESTED_KEY = b"})" + MANY * b"\x85" + b"Ns"
INDICES = {
    "marks": MANY * b"(" + b".",
    "marks and lists": MANY * b"(" + MANY * b"l" + b".",
    "lists in lists": 5000 * b"]" + 4999 * b"a" + b".",
    "tuples as a key": NESTED_KEY + b".",
    "tuples as a key of weights": b"}X\x0a\x00\x00\x00state_dict" + NESTED_KEY + b"s.",
    "tuples by the memo": b"}" + b")q\x00" + 300 * b"h\x00\x85q\x00" + b"Ns.",
}


def records(content):
    file = io.BytesIO()
    torch.save(content, file)
    with zipfile.ZipFile(file) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write(path, named, change=lambda archive: None):
    """A file of these records; `change` may alter what its index will state."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in named.items():
            archive.writestr(name, content)
        change(archive)
    return path


@pytest.mark.parametrize("index", INDICES.values(), ids=INDICES)
@pytest.mark.parametrize("read", [load_checkpoint, open_tensors])
def test_an_index_that_nests_without_end_is_refused_at_once(tmp_path, index, read):
    named = records({"state_dict": {"a": torch.zeros(3)}})
    (pickled,) = (name for name in named if name.endswith("data.pkl"))
    path = write(tmp_path / "last.ckpt", named | {pickled: b"\x80\x02" + index})
    started = time.monotonic()
    with pytest.raises(ValueError, match="last.ckpt: damaged.*its index nests too deep"):
        read(path)
    assert time.monotonic() - started < SECONDS


def test_runtime_and_extension_measure_nesting_alike():
    """Each is without the other somewhere, so both have the file, and it is the same but for its own description."""
    one, other = (inspect.getsource(module).split('"""', 2)[2] for module in (pickle_nesting, extension_s))
    assert one == other
    plain = torch.nn.Sequential(*(torch.nn.Linear(2, 2) for _ in range(50))).state_dict()
    for content in ({"state_dict": plain}, {"a": [[{"b": (1, [2, {3}])}]], "big": list(range(5000))}):
        (pickled,) = (value for name, value in records(content).items() if name.endswith("data.pkl"))
        assert not pickle_nesting.nests_too_deep(pickled) and not extension_s.nests_too_deep(pickled)
    for index in INDICES.values():
        assert pickle_nesting.nests_too_deep(index) and extension_s.nests_too_deep(index)


def stating(size, compression=None):
    """As if a record unpacked to `size` bytes."""

    def change(archive):
        record = next(record for record in archive.filelist if "/data/" in record.filename)
        record.file_size = size
        if compression is None:
            record.compress_size = size
        else:
            record.compress_type = compression

    return change


EIGHT_GB = 8 << 30


def test_a_record_of_8_gb_in_a_small_file_is_refused_by_its_stated_size(tmp_path):
    named = records({"state_dict": {"a": torch.zeros(3)}})
    path = write(tmp_path / "last.ckpt", named, stating(EIGHT_GB, zipfile.ZIP_DEFLATED))
    with pytest.raises(UserError, match="data/0 is compressed, 8589.9 MB in 0.0 MB, which no checkpoint is"):
        load_checkpoint(path)
    with pytest.raises(ValueError, match="storage 0 has 8589934592 bytes for 3 elements"):
        open_tensors(path)
    write(path, named, stating(EIGHT_GB))
    with pytest.raises(UserError, match="last.ckpt: states 8589.9 MB of content in 0.0 MB; restore it"):
        load_checkpoint(path)


@pytest.mark.parametrize("name", ["data.pkl", "byteorder"])
def test_what_is_read_whole_of_weights_is_not_compressed(tmp_path, name):
    def deflated(archive):
        next(record for record in archive.filelist if record.filename.endswith(name)).compress_type = 8

    path = write(tmp_path / "x.ckpt", records({"a": torch.zeros(3)}), deflated)
    with pytest.raises(ValueError, match=f"x.ckpt: its {name} is compressed, as PyTorch writes none"):
        open_tensors(path)


@pytest.mark.parametrize(
    "value",
    [torch.zeros(1).expand(10**12), torch.eye(3).to_sparse(), torch.zeros(3, device="meta")],
    ids=["a terabyte of one number", "sparse", "without memory"],
)
def test_weights_that_do_not_lie_in_the_file_are_refused_unread(tmp_path, value):
    save_checkpoint({"state_dict": {"a": value}}, tmp_path / "x.ckpt")
    with pytest.raises(UserError, match="x.ckpt: state_dict: a does not lie in the file as weights do"):
        load_module_weights(tmp_path / "x.ckpt")


@pytest.mark.parametrize(
    "content, message",
    [
        ({"epoch": "one"}, "epoch is 'one', expected a whole number from 0 on"),
        ({"global_step": -1}, "global_step is -1, expected a whole number"),
        ({"state_dict": {3: torch.zeros(1)}}, "state_dict: a name is 3, expected a str"),
        ({"state_dict": {"a": [[1]] * 10_000}}, "state_dict: a is "),
        ({"state_dict": {"a": torch.tensor([float("inf")])}}, "state_dict: a holds values that are not finite"),
    ],
)
def test_odd_parts_of_weights_to_start_from_are_named(tmp_path, content, message):
    save_checkpoint({"state_dict": {"a": torch.zeros(1)}} | content, tmp_path / "x.ckpt")
    with pytest.raises(UserError) as error:
        load_module_weights(tmp_path / "x.ckpt")
    assert str(error.value).startswith(f"{tmp_path / 'x.ckpt'}: {message}") and len(str(error.value)) < 400


def test_an_index_that_says_to_lie_on_several_disks_is_damage(tmp_path):
    path = tmp_path / "last.ckpt"
    save_checkpoint({"state_dict": {}}, path)
    content = bytearray(path.read_bytes())
    locator = content.rindex(b"PK\x06\x07")
    content[locator + 4] = 1
    path.write_bytes(content)
    with pytest.raises(UserError, match="last.ckpt: damaged \\(zipfiles that span multiple disks"):
        load_checkpoint(path)
