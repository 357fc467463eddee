"""See pidng."""


class PICAM2DNG:
    """Never made here."""
