"""What people see while they wait: progress, the training table, result tables."""
