"""Stands in for python-prctl, which needs a compiler and libcap; picamera2 imports it for video encoders."""
