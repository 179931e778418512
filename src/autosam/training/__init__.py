"""Joint training of the prompt generator and SAM."""
