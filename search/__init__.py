"""The search for codecs: configuration, data, training, the sampler, the study, the report, and
promotion.
"""
