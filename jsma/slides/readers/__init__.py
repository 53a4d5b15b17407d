"""One file a reader: each decodes one stored tile of the files that it serves."""
