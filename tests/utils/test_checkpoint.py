import pickle
import zipfile

import pytest
import torch

from threestudio.errors import UserError
from threestudio.utils.checkpoint import load_checkpoint, load_module_weights, save_checkpoint


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "last.ckpt"
    weights = {"geometry.a": torch.arange(1000.0), "geometry.b": torch.ones(2), "material.a": torch.zeros(3)}
    save_checkpoint({"state_dict": weights, "epoch": 1, "global_step": 30}, path)
    return path


def test_what_is_saved_is_loaded(saved):
    checkpoint = load_checkpoint(saved)
    assert checkpoint["global_step"] == 30
    assert torch.equal(checkpoint["state_dict"]["geometry.a"], torch.arange(1000.0))


def test_a_failed_write_keeps_the_previous_file_and_leaves_no_other(saved, monkeypatch):
    before = saved.read_bytes()

    def full(checkpoint, path):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError) as error:
        save_checkpoint({}, saved)
    assert error.value.filename == str(saved)
    assert saved.read_bytes() == before
    assert list(saved.parent.iterdir()) == [saved]


def test_torchs_own_error_for_a_full_disk_is_told_as_one(saved, monkeypatch):
    def full(checkpoint, path):
        raise RuntimeError("[enforce fail at inline_container.cc:668] . unexpected pos 64 vs 0")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="last.ckpt"):
        save_checkpoint({}, saved)


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.99])
def test_a_truncated_file_is_named(saved, kept):
    content = saved.read_bytes()
    saved.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(UserError, match=r"last.ckpt: truncated \(.* MB\); restore it or pass another resume="):
        load_checkpoint(saved)


def test_a_changed_byte_is_noticed(saved):
    content = bytearray(saved.read_bytes())
    middle = content.index(torch.arange(1000.0).numpy().tobytes()[400:800])
    content[middle] ^= 0xFF
    saved.write_bytes(content)
    with pytest.raises(UserError, match=r"last.ckpt: damaged \(checksum of .*/data/0\); restore it"):
        load_checkpoint(saved)


@pytest.mark.parametrize("content, message", [(b"", "empty"), (b"\x89PNG....", "not a checkpoint")])
def test_another_kind_of_file_is_refused(saved, content, message):
    saved.write_bytes(content)
    with pytest.raises(UserError, match=f"last.ckpt: {message}"):
        load_checkpoint(saved)


def test_a_foreign_zip_is_refused(saved):
    with zipfile.ZipFile(saved, "w") as archive:
        archive.writestr("a.txt", "hello")
    with pytest.raises(UserError, match="last.ckpt: damaged"):
        load_checkpoint(saved)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match="x.ckpt: no such checkpoint"):
        load_checkpoint(tmp_path / "x.ckpt")


def test_weights_alone_are_not_a_training_checkpoint(saved):
    torch.save({"a": torch.ones(1)}, saved)
    with pytest.raises(UserError, match="last.ckpt: not a training checkpoint"):
        load_checkpoint(saved)


class Trap:
    def __reduce__(self):
        return exec, ("raise SystemExit('executed')",)


def test_nothing_in_a_checkpoint_is_executed(saved):
    torch.save({"state_dict": {}, "trap": Trap()}, saved, pickle_module=pickle)
    with pytest.raises(UserError, match="last.ckpt: holds Python objects"):
        load_checkpoint(saved)


def test_one_modules_weights_lose_their_prefix(saved):
    weights, epoch, step = load_module_weights(saved, module_name="geometry")
    assert (set(weights), epoch, step) == ({"a", "b"}, 1, 30)


def test_ignored_modules_are_left_out(saved):
    assert set(load_module_weights(saved, ignore_modules=["geometry"])[0]) == {"material.a"}


def test_a_module_that_is_not_there_is_named(saved):
    with pytest.raises(UserError, match='last.ckpt: has no module "guidance"'):
        load_module_weights(saved, module_name="guidance")
