"""The report of a run: page, figures, rank fidelity of its supernet, and tables in Markdown."""
