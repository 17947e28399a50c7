"""Measuring a dataset: every image on its bones' boxes, figures added up as images pass by."""
