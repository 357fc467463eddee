"""The policy desk: one door for every call of a person; a folder for each noun."""
