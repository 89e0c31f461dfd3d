"""Sources of candidates' scores: Ray workers that evaluate codecs, or a table to replay."""
