"""The policy desk, which every call of a person passes through. Each noun has a folder."""
