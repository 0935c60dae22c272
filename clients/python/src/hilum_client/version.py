"""The version of client and server; a test compares them."""

VERSION = "0.1.0"
