"""Raw logs to datasets: readers, the kernel and its engines, catalog, splits, audit, export."""
