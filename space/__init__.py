"""What a codec can be: value sets, architectures, torch modules, op lists, files."""
