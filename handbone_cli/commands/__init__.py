"""One module per command or group: parse, wire the stages, print."""
