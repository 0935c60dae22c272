"""Phantoms: frontal chest radiographs simulated by ray casting through a parametric thorax.

Nobody was imaged: they show the way of an image through Hilum, and say nothing about people.
"""

from classifier.phantom.collection import write_collection
from classifier.phantom.files import write_dicom, write_png
from classifier.phantom.opacities import Opacity, OpacitySpec
from classifier.phantom.render import FINDINGS, Phantom, render

__all__ = [
    "FINDINGS",
    "Opacity",
    "OpacitySpec",
    "Phantom",
    "render",
    "write_collection",
    "write_dicom",
    "write_png",
]
