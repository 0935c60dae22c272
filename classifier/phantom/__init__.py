"""Phantoms: frontal chest radiographs simulated by ray casting through a parametric thorax.

They show no patient: they demonstrate and test Hilum, and their results have no meaning for people.
"""
