"""The key=value settings of one picture's run."""

import json

from reconstruction.job import Job

DECIDED = ("data.image_path", "exp_root_dir", "name", "tag", "use_timestamp", "export_after_train", "resume")


def settings(job: Job) -> list[str]:
    """The user's, and what the batch decides itself."""
    decided = (job.path, job.out, job.method, job.picture, False, True)
    ours = zip(DECIDED, decided, strict=False)  # but for resume, which the worker adds
    return [*job.overrides, *(f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in ours)]
