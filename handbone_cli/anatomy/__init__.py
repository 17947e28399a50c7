"""What is known of hands: names, groups, proportions, poses."""
