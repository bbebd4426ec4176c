"""Figures as SVG that stands alone: no plotting library, no script, nothing fetched."""
