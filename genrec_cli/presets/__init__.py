"""Named settings, as YAML files."""
