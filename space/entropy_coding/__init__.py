"""Entropy coding of symbols with rANS: payloads, and the tables of frequencies that code them."""
