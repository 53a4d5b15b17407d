"""Statistics over stored predictions and costs: pairs of strategies, ratios of costs, fronts, and their simulation."""
