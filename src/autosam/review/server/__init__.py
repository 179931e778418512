"""The review page with a server behind it, on this machine alone: saving, and live answers of SAM."""
