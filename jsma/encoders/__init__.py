"""Networks that turn a patch into features: timm, foundation models, small ones of our own."""
