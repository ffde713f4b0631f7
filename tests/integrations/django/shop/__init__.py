"""An app of a Django project, for the tests."""
