"""Raw logs to datasets: readers, titles, catalog, filters, splits."""
