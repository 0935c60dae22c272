"""DICOMweb (PS3.18): QIDO-RS, WADO-RS and STOW-RS below `/dicomweb/`."""

from __future__ import annotations

from django.urls import URLPattern, path
from rest_framework.views import APIView

from webapp.dicomweb.views import capabilities, query, retrieve, store

app_name = "dicomweb"
STUDY, SERIES = "studies/<str:study>", "studies/<str:study>/series/<str:series>"
INSTANCE = f"{SERIES}/instances/<str:instance>"


def _path(route: str, view: type[APIView], name: str) -> URLPattern:
    return path(route, view.as_view(), name=name)


class Study(store.Studies, retrieve.Instances):
    """One study: retrieved by GET, added to by POST."""

    get = retrieve.Instances.get  # type: ignore[assignment]


urlpatterns = [
    _path("", capabilities.Capabilities, "capabilities"),
    _path("studies", store.Studies, "studies"),
    _path("series", query.SeriesSearch, "all-series"),
    _path("instances", query.InstanceSearch, "all-instances"),
    _path(STUDY, Study, "study"),
    _path(f"{STUDY}/metadata", retrieve.Metadata, "study-metadata"),
    _path(f"{STUDY}/series", query.SeriesSearch, "study-series"),
    _path(f"{STUDY}/instances", query.InstanceSearch, "study-instances"),
    _path(SERIES, retrieve.Instances, "series"),
    _path(f"{SERIES}/metadata", retrieve.Metadata, "series-metadata"),
    _path(f"{SERIES}/instances", query.InstanceSearch, "series-instances"),
    _path(INSTANCE, retrieve.Instances, "instance"),
    _path(f"{INSTANCE}/metadata", retrieve.Metadata, "instance-metadata"),
    _path(f"{INSTANCE}/frames/<str:frames>", retrieve.Frames, "frames"),
    _path(f"{INSTANCE}/frames/<int:frame>/rendered", retrieve.Rendered, "frame-rendered"),
    _path(f"{INSTANCE}/rendered", retrieve.Rendered, "rendered"),
    _path(f"{INSTANCE}/thumbnail", retrieve.Thumbnail, "thumbnail"),
    _path(f"{INSTANCE}/bulkdata/<path:place>", retrieve.BulkData, "bulkdata"),
]
