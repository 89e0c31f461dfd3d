"""Codecs compared over photographs: anchors, measurements, BD-rates, plots."""
