from pathlib import Path

from omegaconf import OmegaConf

CONFIGS = Path(__file__).parents[1] / "configs"


def flat(name: str) -> dict[str, object]:
    def walk(value, path):
        if isinstance(value, dict):
            for key, inner in value.items():
                yield from walk(inner, f"{path}.{key}" if path else key)
        else:
            yield path, value

    return dict(walk(OmegaConf.to_container(OmegaConf.load(CONFIGS / name), resolve=False), ""))


def assert_alone(baseline: list, cascade: list) -> None:
    """The first model of the cascade, and nothing else."""
    assert [stage["weights"] for stage in baseline] == [cascade[0]["weights"]] and len(cascade) == 2


def test_cascade_and_baseline_differ_only_in_refiner_and_prompt_views():
    cascade, baseline = flat("cascade-zero123.yaml"), flat("zero123.yaml")
    different = {key for key in cascade | baseline if cascade.get(key) != baseline.get(key)}
    assert different == {"name", "system.guidance.cascade"}
    assert_alone(baseline["system.guidance.cascade"], cascade["system.guidance.cascade"])


def test_the_novel_view_baseline_differs_only_in_refiner_and_what_it_is_shown():
    cascade, baseline = flat("novel-view.yaml"), flat("novel-view-zero123.yaml")
    different = {key for key in cascade | baseline if cascade.get(key) != baseline.get(key)}
    assert different == {"name", "system.cascade", "system.coarse_target"}
    assert_alone(baseline["system.cascade"], cascade["system.cascade"])
    assert baseline["system.coarse_target"] is False
