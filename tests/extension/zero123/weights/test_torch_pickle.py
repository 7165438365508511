"""Checkpoints that carry code, are damaged, or are something else; what is in them: test_ldm_checkpoint.py."""

import builtins
import collections
import datetime
import os
import pathlib
import shutil
import subprocess
import sys
import zipfile

import numpy as np
import omegaconf
import pytest
import torch
from cascade_zero123.common.errors import UserError
from cascade_zero123.zero123.weights.tensor_files import open_tensors
from pytorch_lightning import seed_everything
from pytorch_lightning.callbacks import ModelCheckpoint


class Runs:
    """Pickled as a call."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


class RunsOnState:
    """Pickled as an object of a harmless kind, whose state is set by a call."""

    def __reduce__(self):
        return collections.OrderedDict, (), {"command": "true"}, None, None, os.system


def written(path, content):
    torch.save(content, path)
    return path


def refused(path, *parts):
    with pytest.raises(UserError) as caught:
        open_tensors(path)
    message = str(caught.value)
    assert "\n" not in message
    for part in (str(path), *parts):
        assert part in message, message


def stack_global(module, name):
    """A call of `name`, dots and all, with the argument "true", in pickle's language."""
    texts = (b"\x8c" + bytes([len(text)]) + text.encode() for text in (module, name))
    return b"".join(texts) + b"\x93(\x8c\x04truetR"


WEIGHTS = {"weight": torch.arange(6.0).reshape(2, 3)}


@pytest.mark.parametrize(
    ("attack", "name"),
    [
        (lambda mark: Runs(os.system, f"touch {mark}"), "os.system"),
        (lambda mark: Runs(subprocess.Popen, ["touch", str(mark)]), "subprocess.Popen"),
        (lambda mark: Runs(eval, f"open({str(mark)!r}, 'w')"), "builtins.eval"),
        (lambda mark: Runs(exec, f"open({str(mark)!r}, 'w')"), "builtins.exec"),
        (lambda mark: Runs(getattr, "text", "upper"), "builtins.getattr"),
        (lambda mark: Runs(builtins.open, str(mark), "w"), "io.open"),
        (lambda mark: Runs(pathlib.Path.touch, mark), "builtins.getattr"),
        (lambda mark: Runs(shutil.copy, __file__, str(mark)), "shutil.copy"),
        (lambda mark: Runs(torch.save, {}, str(mark)), "torch.serialization.save"),
        (lambda mark: Runs(torch.hub.load, "owner/name", "entry"), "torch.hub.load"),
        (lambda mark: Runs(np.savetxt, str(mark), [1.0]), "savetxt"),
        (lambda mark: RunsOnState(), "os.system"),
    ],
)
@pytest.mark.parametrize("place", ["beside", "optimizer", "among the weights"])
def test_a_checkpoint_that_runs_something_is_refused_by_name_and_nothing_runs(tmp_path, attack, name, place):
    mark = tmp_path / "ran"
    content = {
        "beside": {"callbacks": attack(mark), "state_dict": WEIGHTS},
        "optimizer": {"optimizer_states": [{"state": {0: [attack(mark)]}}], "state_dict": WEIGHTS},
        "among the weights": {"state_dict": WEIGHTS | {"bias": attack(mark)}},
    }[place]
    path = written(tmp_path / "evil.ckpt", content)
    mark.unlink(missing_ok=True)
    refused(path, "tries to run", name)
    assert not mark.exists()


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (stack_global("pathlib", "os.system"), "pathlib.os.system"),
        (stack_global("enum", "bltns.eval"), "enum.bltns.eval"),
        (stack_global("collections", "_sys.exit"), "collections._sys.exit"),
        (stack_global("omegaconf.omegaconf", "os.system"), "omegaconf.omegaconf.os.system"),
        (stack_global("pytorch_lightning.trainer.trainer", "os.system"), "pytorch_lightning.trainer.trainer.os.system"),
        (b"(ibooby_trap\nevil\n", "booby_trap.evil"),
        (b"(cbooby_trap\nevil\no", "booby_trap.evil"),
    ],
)
def test_calls_that_torch_does_not_write_are_refused_too(tmp_path, call, name):
    """Of attributes of modules that a harmless one has imported; by the two oldest ways of pickle to call a class."""
    path = written(tmp_path / "evil.ckpt", {"state_dict": WEIGHTS})

    def put_in_front(records):
        key = next(key for key in records if key.endswith("data.pkl"))
        records[key] = b"\x80\x04" + call + b"0" + records[key][2:]

    refused(repacked(path, put_in_front), "tries to run", name)


def test_calls_of_bookkeeping_s_libraries_are_passed_over_and_not_run(tmp_path):
    path = written(tmp_path / "lightning.ckpt", {"seed": Runs(seed_everything, 7), "state_dict": WEIGHTS})
    torch.manual_seed(3)
    assert list(open_tensors(path)) == ["weight"]
    assert torch.initial_seed() == 3


def test_lightning_s_bookkeeping_is_passed_over(tmp_path):
    content = {
        "state_dict": collections.OrderedDict(WEIGHTS),
        "hyper_parameters": omegaconf.OmegaConf.create({"lr": 1e-4, "widths": [1, 2], "paths": {"a": "???"}}),
        "callbacks": {ModelCheckpoint: {"best": np.float64(0.3), "path": pathlib.PurePosixPath("a/b")}},
        "numpy": {"array": np.arange(4), "scalar": np.int64(4), "dtype": np.dtype("float32")},
        "time": datetime.datetime(2023, 6, 1),
        "sets": {1, 2, frozenset({3})},
        "counts": collections.Counter("aab"),
        "default": collections.defaultdict(list, {"a": [1]}),
        "size": torch.Size([1, 2]),
        "device": torch.device("cpu"),
        "dtype": torch.float16,
        "generator": torch.get_rng_state(),
        "kinds that no weights have": [torch.zeros(2, dtype=torch.complex64), torch.eye(2).to_sparse()],
        "optimizer_states": [{"state": {0: {"step": torch.tensor(3), "exp_avg": torch.ones(2, 3)}}}],
    }
    tensors = open_tensors(written(tmp_path / "lightning.ckpt", content))
    assert list(tensors) == ["weight"]
    assert torch.equal(tensors["weight"].read(), WEIGHTS["weight"])


def test_nothing_that_a_checkpoint_names_is_imported(tmp_path):
    (tmp_path / "booby_trap.py").write_text("class Callback:\n    pass\n")
    script = (
        "import sys, torch; sys.path.insert(0, sys.argv[1]); import booby_trap;"
        "torch.save({'callbacks': booby_trap.Callback(), 'state_dict': {'a': torch.ones(1)}}, sys.argv[2])"
    )
    path = tmp_path / "unknown.ckpt"
    subprocess.run([sys.executable, "-c", script, str(tmp_path), str(path)], check=True)
    (tmp_path / "booby_trap.py").write_text("raise SystemExit('imported')\n")
    assert list(open_tensors(path)) == ["a"]


@pytest.mark.parametrize(
    "dtype", ["float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8"]
)
def test_every_kind_of_number_is_read_as_torch_reads_it(tmp_path, dtype):
    values = {"a": torch.arange(12).reshape(3, 4).to(getattr(torch, dtype)), "flag": torch.tensor([True, False])}
    path = written(tmp_path / "numbers.pt", values)
    for key, expected in torch.load(path, weights_only=True).items():
        found = open_tensors(path)[key].read()
        assert found.dtype == expected.dtype and torch.equal(found, expected)


def test_views_scalars_empty_and_shared_tensors_are_read_as_torch_reads_them(tmp_path):
    whole = torch.randn(4, 5, 6)
    values = {
        "transposed": whole.permute(2, 0, 1),
        "strided": whole[::2, 1:, ::3],
        "expanded": torch.randn(3, 1).expand(3, 7),
        "scalar": torch.tensor(1.5),
        "empty": torch.zeros(0, 3),
        "parameter": torch.nn.Parameter(torch.randn(2)),
        "shared": whole,
    }
    path = written(tmp_path / "views.pt", values)
    found = open_tensors(path)
    for key, value in values.items():
        read = found[key].read()
        assert torch.equal(read, value) and read.is_contiguous() and not read.requires_grad


def test_what_is_read_stays_when_the_file_is_gone(tmp_path):
    path = written(tmp_path / "gone.pt", WEIGHTS)
    read = open_tensors(path)["weight"].read()
    path.unlink()
    assert torch.equal(read, WEIGHTS["weight"])
    read += 1  # memory of its own: the mapping is read-only


# --- Damage, and what is no checkpoint ---


def test_a_truncated_checkpoint_is_refused_at_every_length(tmp_path):
    content = written(tmp_path / "whole.ckpt", {"state_dict": WEIGHTS}).read_bytes()
    path = tmp_path / "cut.ckpt"
    for length in range(0, len(content), 97):
        path.write_bytes(content[:length])
        refused(path)


def test_flipped_bytes_are_refused_or_change_only_values(tmp_path):
    content = bytearray(written(tmp_path / "whole.ckpt", {"state_dict": WEIGHTS}).read_bytes())
    path = tmp_path / "flipped.ckpt"
    for position in range(0, len(content), 7):
        damaged = bytearray(content)
        damaged[position] ^= 0x5A
        path.write_bytes(damaged)
        try:
            for tensor in open_tensors(path).values():
                if hasattr(tensor, "read"):
                    tensor.read()
        except UserError as error:
            assert str(path) in str(error) and "\n" not in str(error)


def repacked(path, change, compression=zipfile.ZIP_STORED):
    """The checkpoint with its records changed by `change`, a dictionary by name without the archive's own."""
    with zipfile.ZipFile(path) as archive:
        records = {info.filename: archive.read(info) for info in archive.infolist()}
    change(records)
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in records.items():
            archive.writestr(name, content)
    return path


def test_missing_short_or_compressed_records_are_refused(tmp_path):
    def path():
        return written(tmp_path / "whole.ckpt", {"state_dict": WEIGHTS})

    def key(records, end):
        return next(name for name in records if name.endswith(end))

    refused(repacked(path(), lambda records: records.pop(key(records, "data/0"))), "storage 0 is missing")
    refused(repacked(path(), lambda records: records.update({key(records, "data/0"): b"abc"})), "3 bytes")
    refused(repacked(path(), lambda records: records.pop(key(records, "data.pkl"))), "no data.pkl")
    refused(repacked(path(), lambda records: None, zipfile.ZIP_DEFLATED), "data.pkl is compressed")
    refused(repacked(path(), lambda records: records.update({key(records, "byteorder"): b"big"})), "big-endian")


def test_a_name_that_would_write_to_the_terminal_is_shown_harmless(tmp_path):
    path = written(tmp_path / "loud.ckpt", {"state_dict": {"a\x1b[31m\nb": torch.ones(1)}})
    refused(path, r"'a\x1b[31m\nb'")


def test_a_tensor_beyond_its_storage_is_refused(tmp_path):
    class Beyond:
        def __reduce__(self):
            storage = torch.arange(4.0).untyped_storage()
            typed = torch.storage.TypedStorage(wrap_storage=storage, dtype=torch.float32, _internal=True)
            return torch._utils._rebuild_tensor_v2, (typed, 2, (3,), (1,), False, collections.OrderedDict())

    refused(written(tmp_path / "beyond.ckpt", {"state_dict": {"a": Beyond()}}), "5 elements in a storage of 4")


@pytest.mark.parametrize(
    "changed",
    [
        {"offset": 10**9},
        {"start": -1},
        {"shape": (10**6,)},
        {"shape": (10**15,), "stride": (0,)},
        {"shape": None},
        {"stride": 5},
        {"stride": (-1,)},
        {"dtype": "float"},
        {"file": None},
    ],
)
def test_a_tensor_that_the_pickle_changes_after_it_was_checked_is_refused(tmp_path, changed):
    class Changed:
        def __reduce__(self):
            storage = torch.arange(4.0).untyped_storage()
            typed = torch.storage.TypedStorage(wrap_storage=storage, dtype=torch.float32, _internal=True)
            arguments = (typed, 0, (3,), (1,), False, collections.OrderedDict())
            return torch._utils._rebuild_tensor_v2, arguments, changed

    refused(written(tmp_path / "changed.ckpt", {"state_dict": {"a": Changed()}}), "a does not lie in this file")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 15465973531\n", "git-lfs pointer"),
        (b"<!DOCTYPE html><html><body>404</body></html>", "a web page"),
        (b"\x00" * 5000, "neither a safetensors nor a PyTorch file"),
        (b"weights, honestly", "neither a safetensors nor a PyTorch file"),
    ],
)
def test_other_files_are_told_apart(tmp_path, content, message):
    path = tmp_path / "zero123-xl.ckpt"
    path.write_bytes(content)
    refused(path, message)


def test_the_format_before_pytorch_1_6_is_refused_with_what_to_do(tmp_path):
    torch.save({"state_dict": WEIGHTS}, tmp_path / "old.ckpt", _use_new_zipfile_serialization=False)
    refused(tmp_path / "old.ckpt", "before 1.6", "save it once more")


def test_another_zip_and_another_content_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        archive.writestr("cat.txt", "cat")
    refused(tmp_path / "photos.zip", "no PyTorch checkpoint")
    refused(written(tmp_path / "list.pt", [torch.ones(1)]), "holds a list")
    refused(written(tmp_path / "tensor.pt", torch.ones(1)), "not a dictionary of weights")


def test_a_truncated_safetensors_file_is_refused(tmp_path):
    from safetensors.torch import save_file

    save_file(WEIGHTS, tmp_path / "a.safetensors")
    content = (tmp_path / "a.safetensors").read_bytes()
    for length in (4, 20, len(content) - 1):
        (tmp_path / "cut.safetensors").write_bytes(content[:length])
        refused(tmp_path / "cut.safetensors", "truncated")
