"""Builds the flashable image and its packages, and boots it under QEMU.

Promises: every input is in a lock with its SHA-256 and fails on drift; two builds of one commit give one root
hash; nothing is fetched but from the package mirrors of the machine that builds.
"""
