import pytest
import torch
from torch import nn

from threestudio.errors import UserError
from threestudio.systems.optimization import parse_optimizer, parse_scheduler


@pytest.fixture
def model():
    return nn.ModuleDict({"geometry": nn.ModuleDict({"grid": nn.Linear(1, 1)}), "background": nn.Linear(1, 1)})


def test_without_params_all_parameters_share_the_arguments(model):
    optimizer = parse_optimizer({"name": "Adam", "args": {"lr": 0.01, "betas": [0.9, 0.99]}}, model)
    (group,) = optimizer.param_groups
    assert (len(group["params"]), group["lr"], tuple(group["betas"])) == (4, 0.01, (0.9, 0.99))


def test_modules_may_have_arguments_of_their_own(model):
    block = {"name": "AdamW", "args": {"lr": 0.01}, "params": {"geometry.grid": {"lr": 0.1}, "background": {}}}
    groups = parse_optimizer(block, model).param_groups
    assert [(group["name"], group["lr"]) for group in groups] == [("geometry.grid", 0.1), ("background", 0.01)]


@pytest.mark.parametrize(
    "block, message",
    [
        ({"name": "AdamX"}, 'system.optimizer.name: unknown "AdamX"; did you mean Adam'),
        ({"name": "Adam", "args": {"learning_rate": 1}}, "system.optimizer.args: .*learning_rate"),
        ({"name": "Adam", "params": {"geometri": {}}}, 'the system has no module "geometri"'),
    ],
)
def test_a_wrong_optimizer_fails_by_its_key(model, block, message):
    with pytest.raises(UserError, match=message):
        parse_optimizer(block, model)


def test_schedules_may_follow_each_other():
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    block = {
        "name": "SequentialLR",
        "interval": "step",
        "milestones": [2],
        "schedulers": [
            {"name": "LinearLR", "interval": "step", "args": {"start_factor": 0.5, "total_iters": 2}},
            {"name": "ExponentialLR", "interval": "step", "args": {"gamma": 0.1}},
        ],
    }
    parsed = parse_scheduler(block, optimizer)
    rates = []
    for _ in range(4):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        parsed["scheduler"].step()
    assert parsed["interval"] == "step"
    assert rates == pytest.approx([0.5, 0.75, 1.0, 0.1])


def test_the_interval_is_step_or_epoch():
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    with pytest.raises(UserError, match="system.scheduler.interval"):
        parse_scheduler({"name": "ExponentialLR", "interval": "batch", "args": {"gamma": 1}}, optimizer)


@pytest.mark.parametrize("params", [3, {"a": 3}, [1]])
def test_parameters_that_are_no_blocks_fail_by_their_key(model, params):
    with pytest.raises(UserError, match="optimizer.params: .* is no block of modules with a block of arguments each"):
        parse_optimizer({"name": "Adam", "params": params}, model)


@pytest.mark.parametrize(
    "block, message",
    [
        ({"name": "ChainedScheduler", "schedulers": 3}, "schedulers: 3 is no list of schedulers, each a block"),
        ({"name": "SequentialLR", "schedulers": []}, "milestones: expected a list of steps, one less than there are"),
    ],
)
def test_schedulers_that_are_none_fail_by_their_key(model, block, message):
    with pytest.raises(UserError, match=f"system.scheduler.{message}"):
        parse_scheduler(block, torch.optim.Adam(model.parameters()))
