"""The command `tfstyle`: one file a command; each parses, calls the API, prints."""
