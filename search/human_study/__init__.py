"""Blind studies with people: which of two reconstructions is closer to the original?

A study is a folder of reconstructions of the same pictures, which `manifest` describes.
`preference` estimates strengths of conditions while answers come in, and `pairs` chooses what to
ask next.
`answers` reads what was answered, `population` estimates strengths for pictures and people at
large, and `analysis` makes the report. `observers` and `simulation` simulate participants.
"""
