"""Does a strategy keep its contract? Checked on small slides in memory."""
