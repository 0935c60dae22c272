"""Client of Hilum's REST API v1. Research and quality-improvement use; not a medical device."""

from hilum_client.client import Hilum
from hilum_client.errors import HilumError, Unreachable
from hilum_client.folder import FolderUpload, Sent
from hilum_client.scans import Scan

__all__ = ["FolderUpload", "Hilum", "HilumError", "Scan", "Sent", "Unreachable"]
