"""Training: one loop, one file a stage (`tasks/`), typed configs, exact resume."""
