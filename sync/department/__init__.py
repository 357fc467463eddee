"""The department's receiver, store and policy desk.

Promises: one door to the data, which asks what the policy asks, refuses what it
refuses, and writes the access entry before it answers.
"""
