"""The learning rate of a step: warm-up, a constant part, and a decay, all linear (Zhai et al. 2022, Sec. 3.5).

What follows the warm-up is the same however long the constant part will be, so that a resumed run can prolong it, and
a decay can be forked from any of its checkpoints (Hägele et al. 2024).
"""


def rate_factor(step: int, warmup_steps: int, constant_steps: int, decay_steps: int, final_factor: float) -> float:
    """Of the full rate: it falls from step `constant_steps` on, to `final_factor` at `decay_steps`; 0: never."""
    warmup = min(1.0, (step + 1) / max(1, warmup_steps))
    if not decay_steps:
        return warmup
    falling = max(1, decay_steps - constant_steps)
    progress = min(1.0, max(0.0, (step - constant_steps) / falling))
    return warmup * (1.0 + (final_factor - 1.0) * progress)
