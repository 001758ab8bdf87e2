"""What is done to the copies: planted behaviours and benign upgrades, by half."""
