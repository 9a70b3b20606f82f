"""Static analysis of compiled kernels (sass_report.py)."""
