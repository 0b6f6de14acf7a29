"""From scores to what an operator sees: alarms by time, never across gaps or machines."""
