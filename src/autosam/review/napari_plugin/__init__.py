"""The napari plugin: results as layers, a panel to correct them, and panels to segment and to adapt."""
