"""Weights are written whole or not at all, and what was there stays until they are."""

import os

import pytest
import torch
from cascade_zero123.common.errors import UserError
from cascade_zero123.zero123.weights import diffusers_folder
from cascade_zero123.zero123.weights.diffusers_folder import save_cascade
from cascade_zero123.zero123.weights.loading import load_zero123, save_zero123
from tiny_zero123 import tiny_model


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def fail_at(monkeypatch, part, error):
    """Saving breaks off when it comes to this part."""
    whole = diffusers_folder.save_file

    def broken(tensors, file, *rest):
        if file.parent.name == part:
            raise error
        whole(tensors, file, *rest)

    monkeypatch.setattr(diffusers_folder, "save_file", broken)


def test_a_save_that_fails_leaves_what_was_there_and_nothing_else(tmp_path, monkeypatch):
    save_zero123(tiny_model(seed=0), tmp_path / "model")
    fail_at(monkeypatch, "cc_projection", OSError(28, "No space left on device"))
    for place in ("model", "new"):
        with pytest.raises(UserError, match=rf"{place}: cannot be written \(.*No space left on device\); mend that"):
            save_zero123(tiny_model(seed=1), tmp_path / place)
    assert names(tmp_path) == ["model"]
    kept = load_zero123(tmp_path / "model")
    assert torch.equal(kept.cc_projection.weight, tiny_model(seed=0).cc_projection.weight)


def test_a_folder_that_is_there_is_replaced(tmp_path):
    for seed in (0, 1):
        save_zero123(tiny_model(seed=seed), tmp_path / "model")
    assert names(tmp_path) == ["model"]
    again = load_zero123(tmp_path / "model")
    assert torch.equal(again.cc_projection.weight, tiny_model(seed=1).cc_projection.weight)


def test_a_folder_with_other_things_in_it_is_not_replaced(tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(UserError, match="not only a model is in it but thesis.tex; name another folder"):
        save_zero123(tiny_model(), tmp_path)
    assert names(tmp_path) == ["thesis.tex"]


def test_what_a_killed_save_has_left_is_cleared_and_nothing_is_lost(tmp_path):
    """Killed while it wrote, and between the two renames."""
    save_zero123(tiny_model(seed=0), tmp_path / ".model.old")
    (tmp_path / ".model.part/unet").mkdir(parents=True)
    with pytest.raises(UserError), diffusers_folder.whole_folder(tmp_path / "model", diffusers_folder.FILES):
        raise OSError(28, "No space left on device")
    assert names(tmp_path) == ["model"]
    save_zero123(tiny_model(seed=1), tmp_path / "model")
    assert names(tmp_path) == ["model"]


def test_base_and_refiner_appear_together_or_not_at_all(tmp_path, monkeypatch):
    base, refiner = tiny_model(seed=0), tiny_model(seed=1)
    save_cascade(base, refiner, tmp_path / "it2")
    assert names(tmp_path / "it2") == ["base", "refiner"]
    assert torch.equal(load_zero123(tmp_path / "it2/refiner").cc_projection.weight, refiner.cc_projection.weight)
    writes = iter([None, UserError("killed")])
    plain = diffusers_folder._write

    def second_fails(*arguments):
        if error := next(writes):
            raise error
        plain(*arguments)

    monkeypatch.setattr(diffusers_folder, "_write", second_fails)
    with pytest.raises(UserError, match="killed"):
        save_cascade(base, refiner, tmp_path / "it4")
    assert names(tmp_path) == ["it2"]


def test_files_can_be_read_by_whom_the_umask_allows(tmp_path):
    before = os.umask(0o027)
    try:
        save_zero123(tiny_model(), tmp_path / "model")
    finally:
        os.umask(before)
    modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "model").rglob("*") if path.is_file()}
    assert modes == {0o640}
