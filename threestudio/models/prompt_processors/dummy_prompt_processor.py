"""The prompt of systems that have none: Zero-1-to-3 is conditioned on a picture."""

from dataclasses import dataclass

import threestudio
from threestudio.utils.base import BaseObject


@threestudio.register("dummy-prompt-processor")
class DummyPromptProcessor(BaseObject):
    """For guidances that read no text."""

    @dataclass
    class Config(BaseObject.Config):
        pretrained_model_name_or_path: str = ""
        prompt: str = ""

    cfg: Config
