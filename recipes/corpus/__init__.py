"""The training corpus of the shipped models, built from packages that anyone can install.

python -m recipes.corpus --out DIR [--cache DIR] [--sources NAME ...] [--phase N] [--table]
"""
