"""Builds the flashable image and its packages, and boots it under QEMU.

Promises: a lock has the SHA-256 of every input, and any drift fails the build; two builds of one commit give
the same root hash; everything is fetched from the package mirrors of the machine that builds.
"""
