"""The key=value settings of one picture's run."""

import json

from studies.reconstruction.job import Job
from threestudio.utils.config_input import literal

DECIDED = ("data.image_path", "exp_root_dir", "name", "tag", "use_timestamp", "export_after_train", "resume")


def settings(job: Job) -> list[str]:
    """The user's, and what the batch decides itself."""
    decided: tuple[str | bool, ...] = (job.path, job.out, job.method, job.picture, False, True)
    ours = zip(DECIDED, decided, strict=False)  # but for resume, which the worker adds
    return [*job.overrides, *(setting(key, value) for key, value in ours)]


def setting(key: str, value: str | bool) -> str:
    """Whatever a picture or a folder is called, it is no YAML and calls nothing."""
    return f"{key}={json.dumps(literal(value) if isinstance(value, str) else value, ensure_ascii=False)}"
