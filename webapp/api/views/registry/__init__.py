"""Model versions, their promotion and their calibrations."""
