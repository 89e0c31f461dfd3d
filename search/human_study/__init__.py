"""Blind studies with people: which of two reconstructions is closer to the original?

A study is a folder of reconstructions of the same pictures. `manifest` describes it, `preference`
estimates strengths of conditions from answers, and `pairs` chooses what to ask next.
"""
