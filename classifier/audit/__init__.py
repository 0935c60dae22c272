"""The data audit: what in a collection would let a model score without knowing lungs."""
