"""The training loop and its parts. It knows modules and tensors, not that ResNeXt exists.

Nothing is imported here, so that `training.settings` stays quick to import.
"""
