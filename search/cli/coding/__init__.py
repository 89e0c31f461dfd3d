"""The commands that code photographs."""
