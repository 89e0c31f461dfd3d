"""The base class of the errors that a user can correct."""


class UserError(ValueError):
    """Bad input. The message is one line that restates the input and says what would be accepted.

    Commands print the message and exit with code 2.
    """
