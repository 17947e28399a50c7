"""The plugin host: hook specifications, interfaces and the registry."""
