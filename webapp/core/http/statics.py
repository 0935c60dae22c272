"""Static files in production: compressed, and named by their content even where modules import them."""

from __future__ import annotations

from whitenoise.storage import CompressedManifestStaticFilesStorage


class HashedStatics(CompressedManifestStaticFilesStorage):  # type: ignore[misc]  # untyped package
    # Else a module is loaded twice: hashed by the page, unhashed by the module that imports it.
    # Only our own: what packages bring names files that they do not bring.
    patterns = (
        *CompressedManifestStaticFilesStorage.patterns,
        ("js/*.js", CompressedManifestStaticFilesStorage._js_module_import_aggregation_patterns[1]),
    )
