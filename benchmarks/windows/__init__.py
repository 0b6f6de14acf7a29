"""Windows of sensor signals: loaders of the real data, protocols, peers and the one table of their results."""
