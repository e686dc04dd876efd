"""A Django project with one view, which runs the example of the README."""
