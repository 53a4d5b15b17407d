"""Opening a slide: which reader, which scale, which decoder, and cheap checks first."""
