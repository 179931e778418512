"""What a person decides about results: corrections, where to look first, and corrected results."""
