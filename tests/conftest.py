"""What all folders of tests share."""

pytest_plugins = ["tests.services.fixtures"]
