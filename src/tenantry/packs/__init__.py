"""Ready systems: models, repositories and what belongs to them, each imported by its name."""
