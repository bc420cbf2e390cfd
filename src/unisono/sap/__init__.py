"""Semantic-Acoustic Primitives: schema, labelled scenes, annotation by models, scores."""
