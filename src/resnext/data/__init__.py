"""Images: where they come from, how they are decoded and augmented, and how they become batches.

Nothing is imported here, so that `data.settings` stays quick to import.
"""
