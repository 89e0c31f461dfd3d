"""Analysis of a study's answers: codecs, participants and quality metrics."""
