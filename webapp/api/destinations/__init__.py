"""Destinations of results, their rules and deliveries."""
