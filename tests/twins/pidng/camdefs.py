"""See pidng."""


class Picamera2Camera:
    """Never made here."""
