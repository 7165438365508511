"""The relief network's training: batches, resuming, scores, and the whole command on a few small sets."""

import numpy as np
import pytest
import torch

from studies.relief import command as train_relief
from studies.relief import scores, sets
from studies.relief.batches import ReliefSet, mirrored, recoloured, training_batch
from studies.relief.packed import Pictures, make
from studies.relief.trainer import Trainer, Training
from threestudio.errors import UserError
from threestudio.relief.network import ReliefNetwork
from threestudio.relief.weights import load_relief_network

SHORT = Training(steps=4, batch_size=2, precision="fp32")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three generated objects, two pictures of each."""
    folder = tmp_path_factory.mktemp("relief") / "set"
    make(Pictures(objects=3, views=2), folder, workers=1)
    return folder


@pytest.fixture(scope="module")
def views(folder):
    return ReliefSet([folder])


def test_pictures_are_made_once_and_an_interrupted_run_goes_on(folder, tmp_path, monkeypatch):
    def stopped_after_one(task, items, workers):
        yield task(items[0])
        raise KeyboardInterrupt

    monkeypatch.setattr("studies.relief.packed.in_processes", stopped_after_one)
    with pytest.raises(KeyboardInterrupt):
        make(Pictures(objects=3, views=2), tmp_path / "set", workers=1)
    monkeypatch.undo()
    made = np.load(tmp_path / "set" / "done.npy").tolist()
    assert made == [True, True, False, False, False, False] and not (tmp_path / "set" / "meta.json").exists()
    make(Pictures(objects=3, views=2), tmp_path / "set", workers=1)
    for name in ("rgba", "layers", "elevation"):
        np.testing.assert_array_equal(np.load(tmp_path / "set" / f"{name}.npy"), np.load(folder / f"{name}.npy"))


def test_a_set_of_other_settings_is_refused(folder):
    with pytest.raises(UserError, match="rendered with --generate 3, not 4"):
        make(Pictures(objects=4, views=2), folder, workers=1)


def test_a_batch_holds_what_was_cast(views):
    batch = views.batch(range(6))
    assert batch.hit.flatten(1).any(dim=1).all()
    assert (batch.front[~batch.hit] == 0).all() and (batch.thickness >= 0).all()
    cosine = batch.normal[:, 2][batch.hit]
    assert (cosine > -0.2).float().mean() > 0.98  # towards the camera
    solid = batch.inside.any(dim=1).float()[batch.column_mask > 0].mean()
    assert solid > 0.9
    assert ((batch.elevation_deg >= -15) & (batch.elevation_deg <= 60)).all()


def test_a_mirrored_batch_is_its_mirror_image_and_twice_mirrored_the_same(views):
    batch, both = views.batch(range(4)), torch.tensor([True, True, False, False])
    turned = mirrored(batch, both)
    torch.testing.assert_close(turned.front[0], batch.front[0].flip(-1))
    torch.testing.assert_close(turned.normal[0, 0], -batch.normal[0, 0].flip(-1))
    torch.testing.assert_close(turned.normal[2], batch.normal[2])
    for name, value in vars(mirrored(turned, both)).items():
        assert torch.equal(value, getattr(batch, name)), name


def test_recolouring_leaves_shapes_alone(views):
    batch = views.batch(range(4))
    other = recoloured(batch, torch.Generator().manual_seed(1))
    assert not torch.equal(other.rgba, batch.rgba)
    assert torch.equal(other.rgba[:, 3], batch.rgba[:, 3]) and torch.equal(other.front, batch.front)


def test_batches_depend_on_seed_and_step_alone(views):
    first, again, other = (training_batch(views, 3, 0, step).rgba for step in (5, 5, 6))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_a_resumed_training_ends_where_an_uninterrupted_one_does(views, tmp_path):
    whole = Trainer(SHORT, tmp_path / "whole")
    whole.run(views, {}, every=4)
    first = Trainer(SHORT, tmp_path / "parts")
    for _ in range(2):
        first.advance(views)
    first.save()
    second = Trainer(SHORT, tmp_path / "parts")
    second.resume()
    assert second.step == 2
    second.run(views, {}, every=4)
    for name, value in whole.average.state_dict().items():
        assert torch.equal(second.average.state_dict()[name], value), name


def test_another_training_s_checkpoint_is_refused(views, tmp_path):
    Trainer(SHORT, tmp_path).save()
    with pytest.raises(UserError, match="trained with other settings"):
        Trainer(Training(steps=5), tmp_path).resume()


def test_training_lowers_the_loss_of_a_set_that_can_be_learnt_by_heart(views, tmp_path):
    trainer = Trainer(Training(steps=1000, batch_size=4, warm_up=5, precision="fp32"), tmp_path)
    losses = [trainer.advance(views) for _ in range(30)]
    for name in ("normal", "layers"):
        first, last = (np.mean([found[name] for found in part]) for part in (losses[:4], losses[-4:]))
        assert last < 0.85 * first, name


def test_the_truth_scores_perfectly(views):
    def truth(batch):
        guess = scores.of_sheets(batch.front + 0.3, batch.thickness)  # a shift of the whole picture costs nothing
        layers = torch.where(batch.inside, 1.0, -1.0)
        return type(guess)(guess.front, guess.thickness, batch.normal, layers, batch.elevation_deg)

    found = scores.scored(views, truth)
    assert all(len(values) == 3 for values in found.values())
    for metric in ("depth", "thickness", "elevation"):
        np.testing.assert_allclose(found[metric], 0, atol=1e-6)
    np.testing.assert_allclose(found["normal"], 0, atol=0.1)
    np.testing.assert_allclose(found["iou"], 1)


def test_an_inflated_outline_is_better_than_a_card_and_the_best_factor_is_found(views):
    factor = scores.best_inflation(views)
    assert factor in scores.FACTORS
    errors = {value: scores.scored(views, scores.inflated_guess(value)) for value in scores.FACTORS}
    sums = {value: found["depth"].mean() + found["thickness"].mean() for value, found in errors.items()}
    assert sums[factor] == min(sums.values())
    card = scores.scored(views, scores.card_guess)
    assert errors[factor]["thickness"].mean() < card["thickness"].mean()


def test_a_table_leaves_empty_what_a_method_does_not_say(views):
    text = scores.table({"card": scores.scored(views, scores.card_guess)})
    assert text.splitlines()[0].startswith("| | relative depth | thickness |")
    assert text.splitlines()[2].endswith("|  |")


def test_the_whole_command_makes_pictures_trains_and_scores(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sets, "OBJECTS", {"train": 2, "val": 1, "test": 2})
    monkeypatch.setattr(sets, "VIEWS", 1)
    arguments = ["--out", str(tmp_path), "--steps", "2", "--batch-size", "2", "--every", "1", "--precision", "fp32"]
    assert train_relief.main(arguments) == 0
    said = capsys.readouterr().out
    assert "step 2" in said and "generated-val: depth" in said
    assert "generated-test: 2 objects, 2 pictures" in (tmp_path / "scores.md").read_text()
    assert isinstance(load_relief_network(tmp_path / "model.safetensors"), ReliefNetwork)
    assert train_relief.main(arguments) == 0  # nothing left to do but the scores
