"""Retrieve capabilities (PS3.18 section 8.9): what this service does, as WADL or JSON."""

from __future__ import annotations

from xml.etree.ElementTree import Element, SubElement, tostring

from django.http import HttpResponse, JsonResponse
from django.urls import URLPattern
from rest_framework.request import Request

from webapp.dicomweb.views.base import DicomWebView, accepted

WADL = "application/vnd.sun.wadl+xml"
NAMESPACE = "http://wadl.dev.java.net/2009/02"


class Capabilities(DicomWebView):
    """By OPTIONS, and by GET for those who cannot send it."""

    def options(self, request: Request, *args: object, **kwargs: object) -> HttpResponse:  # type: ignore[override]
        return self.get(request)

    def get(self, request: Request) -> HttpResponse:
        from webapp.dicomweb.urls import urlpatterns

        resources = [(str(one.pattern), methods_of(one)) for one in urlpatterns]
        base = request.build_absolute_uri("/dicomweb/")
        if any(one.match("application/json") and one.main_type != "*" for one in accepted(request)):
            found = [{"path": path, "methods": methods} for path, methods in resources]
            return JsonResponse({"base": base, "resources": found})
        root = Element("application", xmlns=NAMESPACE)
        parent = SubElement(root, "resources", base=base)
        for path, methods in resources:
            resource = SubElement(parent, "resource", path=path.replace("<str:", "{").replace(">", "}"))
            for method in methods:
                SubElement(resource, "method", name=method)
        return HttpResponse(tostring(root, xml_declaration=True, encoding="utf-8"), content_type=WADL)


def methods_of(pattern: URLPattern) -> list[str]:
    view = pattern.callback.view_class  # type: ignore[attr-defined]
    return [
        name.upper() for name in ("get", "post") if name in view.http_method_names and hasattr(view, name)
    ]
