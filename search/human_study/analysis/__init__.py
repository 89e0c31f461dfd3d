"""What the answers of a study say about codecs, participants and quality metrics."""
