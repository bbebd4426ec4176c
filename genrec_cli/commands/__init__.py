"""One public function for each subcommand: takes settings, returns a report, never prints."""
