"""Which of several processes of one run this is."""

import os

# SLURM sets its variable also where it does not manage the processes, so it comes last.
RANK_VARIABLES = ("RANK", "LOCAL_RANK", "SLURM_PROCID", "JSM_NAMESPACE_RANK")


def get_rank() -> int:
    return next((int(os.environ[name]) for name in RANK_VARIABLES if name in os.environ), 0)
