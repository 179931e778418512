"""Around the loop: files of a run, devices, validation, memory estimate."""
