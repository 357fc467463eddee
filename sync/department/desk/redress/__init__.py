"""Redress: a person from the public asks, the department answers."""
