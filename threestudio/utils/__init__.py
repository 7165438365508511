"""What every component stands on: base classes, config, schedules, checkpoints, saving."""
