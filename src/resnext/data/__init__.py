"""Pictures: where they come from, how they are decoded, augmented and made into batches.

Nothing is imported here, so that `data.settings` stays quick to import.
"""
