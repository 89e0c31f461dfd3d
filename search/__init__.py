"""Which codec is best: proxy task, workers, samplers, front, report, command line."""
