"""Runs the image in a virtual machine: QEMU with a chip, a cable, and a card whose power can be cut.

Needs no KVM and no device mapper.
"""
