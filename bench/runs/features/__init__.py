"""Features kept in a folder: any number of processes and hosts fill it and use it at once."""
