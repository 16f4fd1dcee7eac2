"""Trained networks at work, and `stylize`."""
