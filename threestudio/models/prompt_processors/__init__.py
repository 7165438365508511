"""Text prompts."""

from threestudio.models.prompt_processors.dummy_prompt_processor import DummyPromptProcessor

__all__ = ["DummyPromptProcessor"]
