"""What all events of the page have in common."""

from collections.abc import Callable
from typing import Any

import gradio as gr

from threestudio.errors import UserError


def on(event: Any, change: Callable[..., Any], inputs: list[Any], outputs: list[Any]) -> Any:
    """Without the shimmer that would hide what changes; what a user did wrong is a line on the page."""

    def changed(*values: Any) -> Any:
        try:
            return change(*values)
        except UserError as error:
            raise gr.Error(str(error)) from None

    return event(changed, inputs, outputs, show_progress="hidden")
