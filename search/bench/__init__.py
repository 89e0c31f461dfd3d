"""Comparison of codecs on photographs: anchors, measurements, BD-rates and plots."""
