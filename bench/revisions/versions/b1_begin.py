"""Where the homes stand when the clock starts: made from the models of the time, and stamped."""

revision = "b1"
down_revision = None


def upgrade() -> None:
    """Makes nothing: the homes were made from models."""
