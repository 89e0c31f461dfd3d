"""The commands of `python -m search`, from command-line arguments to exit codes."""
