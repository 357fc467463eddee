"""Redress: a member of the public asks, the department answers."""
