"""Errors that a user can correct, and warnings about input that a user should check."""


class UserError(ValueError):
    """Bad input. The message is one line that restates the input and says what would be accepted.

    Commands print the message and exit with code 2.
    """


class InputWarning(UserWarning):
    """Input that was read but may be wrong, or that was read in one of several possible ways.

    The message is one line. Commands print it to standard error and go on.
    """
