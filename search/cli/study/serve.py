"""The command `study serve`."""

def serve() -> None:
    """Show a study."""
