"""python-prctl, which picamera2 imports for a video encoder's process: it needs a compiler and libcap."""
