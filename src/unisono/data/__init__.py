"""Training data: manifests of audio clips, data sets, batches and augmentation."""
