"""The report of a run with its page and figures, rank fidelity of supernets, Markdown tables."""
