"""Labelled clips for training: manifests in, batches out.

``manifest`` reads tables of clips, ``vocabulary`` gathers their labels, ``cache`` holds decoded
sound, ``teacher`` another model's outputs, ``batches`` draws augmented batches. Knows no models
and no optimisers. Start reading at ``batches``.
"""
