"""The root of all errors that somebody at the command line can mend. Knows none of them."""


class ModelExportError(Exception):
    """What was asked for cannot be done; the message says why, in words for the one who asked."""
