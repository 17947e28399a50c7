"""Masks -> what people use: submissions, pictures, reports, comparisons, measurements."""
