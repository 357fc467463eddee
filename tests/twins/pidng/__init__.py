"""PiDNG, which picamera2 imports to write raw pictures: it needs a compiler, and the reader writes none."""
