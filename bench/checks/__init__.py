"""May a change go in? Does a strategy keep the contract, and has anything become slower?"""
