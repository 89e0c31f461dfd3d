"""Training: the losses and learning rates of a step, and the three schedules that use them.

`proxy` trains one candidate briefly, `supernet` trains all architectures of a space together, and
`full` trains one codec completely.
"""
