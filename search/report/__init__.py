"""The report of a run: page, figures, and the rank fidelity of its supernet."""
