"""The end that units talk to: receiver, enrollment, authority, documents, their HTTP interface."""
