"""What units connect to: receiver, enrollment, authority, documents and their HTTP interface."""
