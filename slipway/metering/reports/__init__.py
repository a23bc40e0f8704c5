"""Reports: pages of latency, usage and economics that are one HTML file each and need no network.

Belongs here: what a page shows (contents.py), its frame, style and script (page.py, page.css, page.js), and
uPlot as its authors publish it (vendor/, docs/adr/0033-uplot-in-reports.md).
Does not: their questions (slipway.metering.asking), where pages are kept (slipway.control.reporting).
"""
