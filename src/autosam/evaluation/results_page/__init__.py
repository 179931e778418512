"""The report of a folder of results: what it holds, how good it is, and how it was made."""
