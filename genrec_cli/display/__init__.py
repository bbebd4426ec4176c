"""What people see: tables, progress and errors on a terminal, or one JSON document."""
