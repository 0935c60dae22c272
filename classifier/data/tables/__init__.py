"""Tables that people save: read once, for training, pages, API and command line alike."""
