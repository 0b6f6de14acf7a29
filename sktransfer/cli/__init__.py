"""The command `sktransfer`: from a table to a model file, from a model file to the state of each machine."""
