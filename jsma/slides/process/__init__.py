"""The process that decodes: a native library that crashes takes it down, and not the program."""
