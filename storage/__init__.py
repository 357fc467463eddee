"""Custody: the ledger of sealed, signed and provable records on the unit.

Promises: nothing is altered, forged or dropped unnoticed; nothing is readable at rest;
a purge really destroys; there is no access to content without an entry in the log.
"""
