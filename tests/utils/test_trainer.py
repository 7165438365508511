import pytest

from threestudio.errors import UserError
from threestudio.utils import trainer


@pytest.fixture
def no_cuda(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)


@pytest.fixture
def said(monkeypatch):
    lines = []
    monkeypatch.setattr("threestudio.info", lines.append)
    return lines


@pytest.mark.parametrize("cuda", [False, True])
def test_what_asks_for_the_cpu_by_name_is_left_as_it_is(monkeypatch, said, cuda):
    monkeypatch.setattr("torch.cuda.is_available", lambda: cuda)
    options = {"accelerator": "cpu", "devices": 2, "strategy": "ddp", "max_steps": 5}
    assert trainer._on_this_machine(options) == options
    assert said == []


def test_the_cpu_by_name_is_one_process_unless_more_are_asked_for(no_cuda):
    assert trainer._on_this_machine({"accelerator": "cpu"}) == {"accelerator": "cpu", "devices": 1}


def test_without_cuda_what_needs_it_is_replaced_and_said(no_cuda, said):
    options = {"accelerator": "gpu", "devices": 4, "strategy": "ddp", "precision": "16-mixed", "max_steps": 5}
    replaced = trainer._on_this_machine(options)
    assert replaced == {"accelerator": "cpu", "devices": 1, "precision": "32-true", "max_steps": 5}
    assert said == [
        "no CUDA device: trainer.precision 16-mixed becomes 32-true",
        "no CUDA device: trainer.accelerator, trainer.devices, trainer.strategy ignored, one CPU process is used",
    ]


def test_without_cuda_double_precision_stays(no_cuda):
    assert trainer._on_this_machine({"precision": "64-true"})["precision"] == "64-true"


@pytest.mark.parametrize("devices", [9, "9", 1000])
def test_more_processes_than_the_machine_has_cores_for_are_refused(monkeypatch, devices):
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    with pytest.raises(UserError, match=f"trainer.devices: {devices} processes on 4 cores; at most 4"):
        trainer._on_this_machine({"accelerator": "cpu", "devices": devices})
    monkeypatch.setattr("os.cpu_count", lambda: None)
    assert trainer._on_this_machine({"accelerator": "cpu", "devices": 2})["devices"] == 2


def test_with_cuda_all_visible_devices_are_used_unless_some_are_asked_for(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert trainer._on_this_machine({}) == {"accelerator": "gpu", "devices": -1}
    assert trainer._on_this_machine({"devices": 2}) == {"accelerator": "gpu", "devices": 2}
