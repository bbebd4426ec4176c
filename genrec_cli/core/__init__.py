"""The words that every layer shares: errors, schemas, settings, the workspace, progress."""
