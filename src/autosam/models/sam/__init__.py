"""SAM: its sizes, its adapters, and the way from prompts to masks."""
